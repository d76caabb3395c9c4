"""The keypoints of public data sets are those that were published, and what is easily taken for granted of them."""

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.runtime.sides import left_first
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.faces import IBUG_68
from hrtoolkit.schemes.known import find_data_sets
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.schemes.people import COCO

COUNTS = {
    **dict(coco_wholebody=133, coco_wholebody_face=68, coco_wholebody_hand=21, onehand10k=21, freihand=21, rhd2d=21),
    **dict(ap10k=17, animalpose=20, aic=14, posetrack18=17, halpe26=26, halpe136=136, humanart=17, humanart21=21),
    **dict(jhmdb=15),
}


def test_every_layout_is_known_by_name_and_says_whose_it_is_and_its_terms():
    assert {name: len(one.names) for name, one in LAYOUTS.items()} == COUNTS
    for name, one in LAYOUTS.items():
        assert resolve_scheme(name, KeypointScheme) is one
        assert one.title and one.terms and "OpenMMLab" in one.source
        order = one.flip_order()
        assert [order[i] for i in order] == list(range(len(order)))


def test_the_fall_offs_are_the_published_ones():
    body = COCO.sigmas
    whole = LAYOUTS["coco_wholebody"].sigmas
    assert whole[:17] == body and whole[17:23] == (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)  # the feet differ
    assert whole[23:91] == LAYOUTS["coco_wholebody_face"].sigmas
    assert whole[91:112] == whole[112:] == LAYOUTS["coco_wholebody_hand"].sigmas
    assert LAYOUTS["halpe136"].sigmas[17:26] == (0.08,) * 3 + (0.089,) * 6 != LAYOUTS["halpe26"].sigmas[17:26]
    assert set(LAYOUTS["halpe136"].sigmas[26:]) == {0.015}
    assert LAYOUTS["animalpose"].sigmas[2:5] == (0.026, 0.035, 0.035)  # one off, and needed as they are
    assert LAYOUTS["aic"].sigmas[0] == 0.01388152 and max(LAYOUTS["aic"].sigmas) < 0.04
    assert LAYOUTS["humanart"].sigmas == body and LAYOUTS["humanart"].names == COCO.names


def test_faces_mirror_as_those_of_300w_though_their_names_tell_nothing():
    order = IBUG_68.flip_order()
    assert LAYOUTS["coco_wholebody_face"].flip_order() == order
    for name, first in (("coco_wholebody", 23), ("halpe136", 26)):
        assert LAYOUTS[name].flip_order()[first : first + 68] == [first + i for i in order]


def test_sides_of_a_face_are_told_by_the_order_of_its_pairs():
    """Point 0 of a face is on the person's right, as `right_jaw_0` of 300W is; pictures take the first one as left."""
    for name, first in (("coco_wholebody", 23), ("coco_wholebody_face", 0), ("halpe136", 26)):
        scheme = LAYOUTS[name]
        left = {pair[0] for pair in left_first(scheme.mirrored)}
        for ours, known in zip(scheme.names[first : first + 68], IBUG_68.names, strict=True):
            assert (ours in left) == known.startswith("left"), (name, ours)
        sides = [one.partition("_")[0] for pair in scheme.mirrored for one in pair if not one.startswith("face")]
        assert set(sides[::2]) <= {"left"} and set(sides[1::2]) <= {"right"}  # the same side first as in the face


def test_feet_follow_each_other_by_side_in_one_set_and_alternate_in_the_other():
    assert LAYOUTS["coco_wholebody"].flip_order()[17:23] == [20, 21, 22, 17, 18, 19]
    assert LAYOUTS["halpe136"].flip_order()[20:26] == LAYOUTS["halpe26"].flip_order()[20:] == [21, 20, 23, 22, 25, 24]


def test_a_wrist_is_not_the_root_of_its_hand():
    names = LAYOUTS["coco_wholebody"].names
    assert (names[9], names[91], names[112]) == ("left_wrist", "left_hand_root", "right_hand_root")


def test_a_mirrored_hand_keeps_its_channels():
    for name in ("coco_wholebody_hand", "onehand10k", "freihand", "rhd2d"):
        assert LAYOUTS[name].flip_order() == list(range(21))


def test_the_fingers_of_rhd_run_from_tip_to_base_whatever_its_files_say():
    scheme = LAYOUTS["rhd2d"]
    assert scheme.names[1:5] == ("thumb4", "thumb3", "thumb2", "thumb1")
    assert scheme.file_names == LAYOUTS["onehand10k"].names
    assert set(scheme.names) == set(scheme.file_names)


def test_head_joints_of_posetrack_are_no_pair_although_they_stand_at_the_eyes_of_coco():
    order = LAYOUTS["posetrack18"].flip_order()
    assert order[:5] == [0, 1, 2, 4, 3]


@pytest.mark.parametrize("name", [name for name, one in LAYOUTS.items() if one.upper_body])
def test_mirror_partners_are_of_one_half(name):
    scheme = LAYOUTS[name]
    for pair in scheme.mirrored:
        assert len({one in scheme.upper_body for one in pair}) == len({one in scheme.lower_body for one in pair}) == 1


def test_hands_and_faces_are_of_no_half():
    scheme = LAYOUTS["coco_wholebody"]
    assert scheme.upper_body == COCO.upper_body
    assert set(scheme.names) - set(scheme.upper_body) - set(scheme.lower_body) == set(scheme.names[23:])


def test_names_tell_the_data_sets():
    assert find_data_sets(LAYOUTS["ap10k"].names) == find_data_sets(LAYOUTS["ap10k"].file_names) == ["AP-10K"]
    assert find_data_sets(COCO.names) == ["COCO", "Human-Art"]
    assert find_data_sets(COCO.names[:5]) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(mirrored=[("a", "b"), ("b", "c")]), r"\['b'\] stand in more than one mirrored pair"),
        (dict(sigmas=[0.1, 0.2]), "2 sigmas for 3 keypoints"),
        (dict(file_names=["A", "B"]), "2 file_names for 3 keypoints"),
        (dict(lower_body=["d"]), r"lower_body names \['d'\]"),
    ],
)
def test_fields_that_contradict_each_other_are_one_error(fields, message):
    with pytest.raises(OptionError, match=message):
        resolve_scheme({"names": ["a", "b", "c"], **fields}, KeypointScheme)


def test_sigmas_of_the_known_ones_are_numbers_above_zero():
    assert all(np.greater(one.sigmas, 0).all() for one in LAYOUTS.values() if one.sigmas)
