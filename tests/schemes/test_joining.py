"""The union of keypoint schemes, and what cannot be joined."""

import numpy as np
import pytest

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.records import Objects
from hrtoolkit.schemes import KeypointScheme, check_same, convert, resolve_scheme, scheme_fields
from hrtoolkit.schemes.joining import join_schemes
from hrtoolkit.schemes.people import COCO, CROWDPOSE


def test_the_union_has_all_names_once_and_their_partners():
    joined = join_schemes({"a": COCO, "b": CROWDPOSE})
    assert joined.names == (*COCO.names, "head_top", "neck")
    assert len(joined.mirrored) == 8 and set(COCO.skeleton) <= set(joined.skeleton)
    assert len(joined.sigmas) == len(joined.names) and joined.sigmas[:17] == COCO.sigmas
    assert join_schemes({"a": CROWDPOSE, "b": COCO}).names[:14] == CROWDPOSE.common().names


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


# The same place by several names, and other places by one


def of(way, *names):
    return resolve_scheme({way: list(names)}, KeypointScheme)


def test_public_sets_meet_by_the_names_that_they_have_in_common():
    """As OpenMMLab's converters map them by hand, by indices."""
    body = COCO.names[5:]
    assert of("intersection", "coco", "aic").names == of("intersection", "coco", "crowdpose").names == body
    assert of("intersection", "coco", "mpii").names == body
    union = (*COCO.names, "head_top", "neck")
    assert of("union", "coco", "aic").names == of("union", "coco", "crowdpose", "aic").names == union
    assert set(of("union", "coco", "mpii").names) == {*union, "pelvis", "thorax"}  # 21: the thorax is not the neck
    assert of("union", "coco", "crowdpose", "mpii", "aic").names == (*union, "pelvis", "thorax")
    assert len(of("union", "coco", "crowdpose", "halpe26").names) == 26
    # The hip of Halpe is not the pelvis of MPII, the head of sub-JHMDB its centre, a wrist not the root of a hand.
    assert {"hip", "pelvis"} <= set(of("union", "halpe26", "mpii").names)
    assert {"head", "head_top", "neck"} <= set(of("union", "jhmdb", "halpe26", "posetrack18").names)
    assert not {"left_wrist"} & set(of("union", "coco_wholebody_hand", "freihand").names)
    animals = of("union", "ap10k", "animalpose")
    assert len(animals.names) == 29 and "TailBase" not in animals.names
    assert set(of("intersection", "ap10k", "animalpose").names) == {
        *("L_Eye", "R_Eye", "Nose", "Root of tail", "L_F_Paw", "R_F_Paw", "L_B_Paw", "R_B_Paw")
    }


def test_the_union_of_sets_has_pairs_and_halves_by_the_same_names():
    joined = of("union", "coco", "crowdpose", "halpe26")
    assert len(joined.mirrored) == 11 and set(joined.upper_body) == {*COCO.upper_body, "head_top", "neck"}
    assert joined.sigmas[17:19] == CROWDPOSE.sigmas[12:]  # whoever says it first
    assert joined.common() is joined and CROWDPOSE.terms in joined.terms
    shared = of("intersection", "coco", "aic")
    assert len(shared.mirrored) == 6 and shared.upper_body == COCO.names[5:11] and shared.sigmas == COCO.sigmas[5:]


def test_records_meet_by_common_names_and_are_scored_in_their_own():
    aic, joined = resolve_scheme("aic", KeypointScheme), of("union", "coco", "aic")
    points = np.stack([2 * np.arange(14), 2 * np.arange(14) + 1], axis=1)[None].astype(np.float32)
    visible = np.ones((1, 14), np.uint8)
    visible[0, [2, 13]] = 0
    truth = Objects(np.zeros((1, 4)), np.zeros(1, int), points=points, visible=visible)
    # OpenMMLab's converter, merged into COCO's 17: points 0, 5, 6, 16, and who is visible.
    merged = convert(truth, aic, COCO)
    assert merged.points[0, [0, 5, 6, 16]].tolist() == [[0, 0], [6, 7], [0, 1], [16, 17]]
    assert merged.visible[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]
    places = {0: 6, 1: 8, 2: 10, 3: 5, 4: 7, 5: 9, 6: 12, 7: 14, 8: 16, 9: 11, 10: 13, 11: 15, 12: 17, 13: 18}
    assert joined.positions_in(aic.common().names).tolist() == [
        next((own for own, there in places.items() if there == place), -1) for place in range(19)
    ]
    back = convert(convert(truth, aic, joined), joined, aic)
    np.testing.assert_array_equal(back.points, points)
    np.testing.assert_array_equal(back.visible, visible)
    head = CROWDPOSE.names.index("head")
    assert convert(truth, aic, CROWDPOSE).points[0, head].tolist() == points[0, 12].tolist()


def test_own_data_says_what_its_keypoints_are_elsewhere():
    own = resolve_scheme(
        dict(names=["crown", "left_hip", "right_hip"], common_names=[["crown", "head_top"]]), KeypointScheme
    )
    assert own.names[0] == "crown" and own.common().names[0] == "head_top"
    assert join_schemes({"own": own, "aic": resolve_scheme("aic", KeypointScheme)}).names[0] == "head_top"
    check_same(own, resolve_scheme("aic", KeypointScheme))  # some of its keypoints
    assert resolve_scheme(scheme_fields(own), KeypointScheme) == own
    both = resolve_scheme(dict(union=["coco", scheme_fields(own)]), KeypointScheme)
    assert both.names == (*COCO.names, "head_top")


@pytest.mark.parametrize(
    ("common_names", "message"),
    [
        (
            [["a", "c"], ["b", "c"]],
            r"common_names makes one keypoint, 'c', of \['a', 'b'\]; give each a name of its own",
        ),
        ([["a", "b"]], r"common_names makes one keypoint, 'b', of \['a', 'b'\]"),
        ([["x", "c"]], r"common_names names \['x'\], which are not among its names \(a, b\); correct them, or add"),
        ([["a", "c"], ["a", "d"]], r"common_names names \['a'\] more than once"),
        ([["a", "c", "d"]], "common_names holds pairs of a name and its common one, got"),
        (dict(a="c"), "common_names holds pairs of a name and its common one, got"),
    ],
)
def test_common_names_that_cannot_be_are_one_error(common_names, message):
    with pytest.raises(OptionError, match=message):
        resolve_scheme(dict(names=["a", "b"], common_names=common_names), KeypointScheme)


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        (dict(union="coco"), "scheme: union takes a list of schemes, got 'coco'"),
        (dict(intersection=[]), r"scheme: intersection takes a list of schemes, got \[\]"),
        (dict(intersection=["coco", "freihand"]), "scheme: coco, freihand have no keypoint in common"),
        (dict(union=["coco", "coc"]), "scheme must be one of coco, mpii"),
        (dict(union=["coco", "ap10k"]), "coco has a keypoint 'nose' and ap10k has 'Nose', which look like one"),
    ],
)
def test_what_cannot_be_combined_is_one_error(scheme, message):
    with pytest.raises(OptionError, match=message):
        resolve_scheme(scheme, KeypointScheme)
