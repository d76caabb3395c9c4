"""The OKS fall-offs of a scheme that states none."""

import pytest
from hrtoolkit.tasks.pose.layouts import COCO, with_sigmas

from hrtoolkit.layouts import complete_layout


def test_sigmas_are_coco_s_for_the_names_it_knows_and_their_mean_for_others():
    layout = with_sigmas(complete_layout(names=["left_eye", "tail"]))
    assert layout.sigmas == pytest.approx((0.025, 0.0669411), abs=1e-6)
    stated = complete_layout(names=["left_eye", "tail"], sigmas=[0.1, 0.2])
    assert with_sigmas(stated) is stated
    assert with_sigmas(COCO) is COCO
