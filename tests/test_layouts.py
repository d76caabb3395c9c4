"""What a keypoint scheme leaves unsaid follows from its names."""

import pytest
from hrtoolkit.tasks.pose.layouts import COCO

from hrtoolkit.layouts import complete_layout, partners_by_name, resolve_layout


def test_mirror_partners_follow_from_names():
    layout = complete_layout(names=["left_eye", "right_eye", "tail", "l_paw", "r_paw"])
    assert layout.mirrored == (("left_eye", "right_eye"), ("l_paw", "r_paw"))
    assert layout.flip_order() == [1, 0, 2, 4, 3]
    assert complete_layout(names=COCO.names) is COCO


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left-eye", "right-eye"),
        ("Left Eye", "Right Eye"),
        ("LEFT EYE", "RIGHT EYE"),
        ("leftEye", "rightEye"),
        ("eyeLeft", "eyeRight"),
        ("lefteye", "righteye"),
        ("LEye", "REye"),
        ("lEye", "rEye"),
        ("front.l.paw", "front.r.paw"),
        ("paw_L1", "paw_R1"),
    ],
)
def test_partners_are_found_however_names_are_spelled(left, right):
    assert complete_layout(names=["tail", right, left]).mirrored == ((left, right),)


def test_a_side_without_a_partner_is_told_apart():
    names = ("left_ear", "right_eye", "bright spot", "L5", "kneel", "l_paw", "r_paw")
    assert partners_by_name(names) == ([("l_paw", "r_paw")], ["left_ear", "right_eye"])


def test_the_distance_that_normalises_needs_two_known_names():
    assert complete_layout(names=["a", "b"], nme_reference=["a", "b"]).nme_reference == ("a", "b")
    with pytest.raises(ValueError, match="nme_reference is \\['a'\\], expected two names, or 'box'"):
        complete_layout(names=["a", "b"], nme_reference=["a"])
    with pytest.raises(ValueError, match="'c'"):
        complete_layout(names=["a", "b"], nme_reference=["a", "c"])
    assert complete_layout(names=["a"], nme_reference="box").nme_reference == "box"
    with pytest.raises(ValueError, match="a keypoint layout has no nme_ref; it has names, mirrored"):
        resolve_layout({"names": ["a"], "nme_ref": "box"})
    chosen = complete_layout(names=COCO.names, nme_reference=("left_eye", "right_eye"))
    assert chosen.nme_reference and chosen.mirrored == COCO.mirrored
