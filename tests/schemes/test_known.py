"""What a keypoint scheme leaves unsaid follows from its names."""

import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.runtime.sides import partners_by_name
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.people import COCO


def resolve(names, **fields):
    return resolve_scheme({"names": names, **fields}, KeypointScheme)


def test_mirror_partners_follow_from_names():
    scheme = resolve(["left_eye", "right_eye", "tail", "l_paw", "r_paw"])
    assert scheme.mirrored == (("left_eye", "right_eye"), ("l_paw", "r_paw"))
    assert scheme.flip_order() == [1, 0, 2, 4, 3]
    assert resolve(COCO.names) is COCO


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
    assert resolve(["tail", right, left]).mirrored == ((left, right),)


def test_a_side_without_a_partner_is_told_apart():
    names = ("left_ear", "right_eye", "bright spot", "L5", "kneel", "l_paw", "r_paw")
    assert partners_by_name(names) == ([("l_paw", "r_paw")], ["left_ear", "right_eye"])


def test_the_distance_that_normalises_needs_two_known_names():
    assert resolve(["a", "b"], nme_reference=["a", "b"]).nme_reference == ("a", "b")
    with pytest.raises(OptionError, match="nme_reference is \\('a',\\), expected two names, or 'box'"):
        resolve(["a", "b"], nme_reference=["a"])
    with pytest.raises(OptionError, match="'c'"):
        resolve(["a", "b"], nme_reference=["a", "c"])
    assert resolve(["a"], nme_reference="box").nme_reference == "box"
    with pytest.raises(OptionError, match="a keypoint scheme: no field is called nme_ref; there are names, mirrored"):
        resolve(["a"], nme_ref="box")
    chosen = resolve(COCO.names, nme_reference=("left_eye", "right_eye"))
    assert chosen.nme_reference and chosen.mirrored == COCO.mirrored
