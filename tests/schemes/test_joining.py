"""The union of keypoint schemes, and what cannot be joined."""

import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.joining import join_schemes
from hrtoolkit.schemes.people import COCO, CROWDPOSE


def test_the_union_has_all_names_once_and_their_partners():
    joined = join_schemes({"a": COCO, "b": CROWDPOSE})
    assert joined.names == (*COCO.names, *(name for name in CROWDPOSE.names if name not in COCO.names))
    assert len(joined.mirrored) == 8 and set(COCO.skeleton) <= set(joined.skeleton)
    assert len(joined.sigmas) == len(joined.names) and joined.sigmas[:17] == COCO.sigmas
    assert join_schemes({"a": CROWDPOSE, "b": COCO}).names[:14] == CROWDPOSE.names


def test_a_scheme_without_fall_offs_leaves_the_union_without():
    plain = KeypointScheme(names=("nose", "tail"))
    assert join_schemes({"a": COCO, "b": plain}).sigmas == ()
    assert join_schemes({"a": COCO, "b": COCO}) is COCO


@pytest.mark.parametrize("name", ["hip_left", "Left Hip", "leftHip"])
def test_one_keypoint_by_two_names_is_told(name):
    other = KeypointScheme(names=(name, "tail"))
    with pytest.raises(
        DataError, match=f"first has a keypoint 'left_hip' and second has '{name}', which look like one"
    ):
        join_schemes({"first": COCO, "second": other})


def test_other_partners_are_told():
    one = KeypointScheme(names=("a", "b", "c"), mirrored=(("a", "b"),))
    other = KeypointScheme(names=("a", "b", "c"), mirrored=(("a", "c"),))
    with pytest.raises(DataError, match="'a' mirrors to 'b' in first, but to 'c' in second"):
        join_schemes({"first": one, "second": KeypointScheme(names=("a", "c", "d"), mirrored=(("a", "c"),))})
    assert join_schemes({"first": one, "second": other}) is one  # the same names: the first says what they are


def test_what_is_neither_half_of_a_body_stays_so():
    hand = KeypointScheme(names=("wrist", "thumb", "foot"), upper_body=("wrist",), lower_body=("foot",), terms="ask")
    person = KeypointScheme(names=("wrist", "knee"), upper_body=("wrist",))
    joined = join_schemes({"a": hand, "b": person})
    assert (joined.upper_body, joined.lower_body, joined.terms) == (("wrist",), ("foot", "knee"), "ask")
