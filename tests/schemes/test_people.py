"""The OKS fall-offs of a scheme that states none."""

import pytest

from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.people import COCO, with_sigmas


def test_sigmas_are_coco_s_for_the_names_it_knows_and_their_mean_for_others():
    scheme = with_sigmas(resolve_scheme(["left_eye", "tail"], KeypointScheme))
    assert scheme.sigmas == pytest.approx((0.025, 0.0669411), abs=1e-6)
    stated = KeypointScheme(names=["left_eye", "tail"], sigmas=[0.1, 0.2])
    assert with_sigmas(stated) is stated
    assert with_sigmas(COCO) is COCO
