"""Average precision and MOTA of keypoints, against the numbers of poseval."""

import numpy as np
import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.tracking.keypoints import GROUPS, NO_SCORE, People, compare, head_sizes, inside
from hrtoolkit.tracking.poseval import average_precision, mota

from .posetrack import (
    NAMES,
    POSEVAL_NAMES,
    POSEVAL_ORDER,
    SEQUENCES,
    VECTORS,
    assert_equal,
    read_file,
    read_frames,
)

COUNTS = {
    "misses": "num_misses",
    "switches": "num_switches",
    "false": "num_false_positives",
    "objects": "num_objects",
    "matches": "num_detections",
}


def compare_all(frames):
    compared = [compare(truth, found, regions) for truth, found, regions, _ in frames]
    return [frame for frame in compared if frame is not None]


def check(videos, expected):
    precision = average_precision([frame for frames in videos for frame in frames])
    assert_equal(precision.ap, expected["ap"])
    assert_equal(precision.precision, expected["pre"])
    assert_equal(precision.recall, expected["rec"])
    followed = mota(videos)
    assert_equal(followed.mota, expected["mota"])
    assert_equal(followed.motp, expected["motp_matches_only"])
    assert_equal(followed.precision, expected["mot_precision"])
    assert_equal(followed.recall, expected["mot_recall"])
    for ours, theirs in COUNTS.items():
        assert getattr(followed, ours).tolist() == expected["counts"][theirs], theirs
    for values, name in ((precision.ap, "ap"), (followed.mota, "mota")):
        places = [[POSEVAL_NAMES.index(one) for one in names] for names in GROUPS.values()]
        groups = [values[place].mean() for place in places]
        assert_equal([*groups, values[-1]], expected["head_shou_elb_wri_hip_knee_ankl_total"][name])


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_is_scored_as_poseval_does(name):
    check([compare_all(read_frames(VECTORS["sequences"][name], POSEVAL_ORDER))], VECTORS["poseval"][name])


@pytest.mark.parametrize("truth_as_prediction", [False, True])
def test_several_sequences_are_scored_as_poseval_does(truth_as_prediction):
    videos = [
        compare_all(read_frames(VECTORS["sequences"][name], POSEVAL_ORDER, truth_as_prediction)) for name in SEQUENCES
    ]
    check(videos, VECTORS["poseval"]["truth" if truth_as_prediction else "all"])


@pytest.mark.parametrize("name", VECTORS["edges"])
def test_each_rule_is_that_of_poseval(name):
    edge = VECTORS["edges"][name]
    check([compare_all(read_frames(edge["frames"], POSEVAL_ORDER))], edge["result"])


def test_files_of_posetrack_are_scored_as_poseval_does(test_data):
    import json

    folder = test_data / "tracking"
    expected = json.loads((folder / "expected.json").read_text())["poseval"]
    order = [NAMES.index(name) for name in POSEVAL_NAMES]
    videos = []
    for name in ("990101_mpii_test.json", "990102_mpii_test.json"):
        frames = read_file(folder / "annotations/val" / name, folder / "predictions" / name)
        videos.append(compare_all((*(_reorder(side, order) for side in frame[:2]), *frame[2:]) for frame in frames))
    assert [len(frames) for frames in videos] == [20, 15]
    check(videos, expected)


def _reorder(people, order):
    points, present, scores = (column[:, order] for column in (people.points, people.present, people.scores))
    return people._replace(points=points, present=present, scores=scores)


# --- mended ---


def test_the_truth_reaches_100_once_the_counts_are_mended():
    videos = [compare_all(read_frames(VECTORS["sequences"][name], POSEVAL_ORDER, True)) for name in SEQUENCES]
    assert mota(videos).mota[-1] == pytest.approx(95.9515, abs=1e-4)
    mended = mota(videos, corrected=True)
    assert mended.mota[-1] == 100
    assert mended.objects.sum() == sum(frame.labelled.sum() for frames in videos for frame in frames)


def people(ids, xs, scores=None):
    """People of one keypoint each, heads of 10 pixels; NaN where it is absent."""
    points = np.stack([np.array(xs, float), np.full(len(xs), 50.0)], axis=-1)[:, None].reshape(-1, 1, 2)
    present = ~np.isnan(points).any(axis=-1)
    scores = None if scores is None else np.array(scores, float)[:, None]
    return People(np.array(ids, int), np.nan_to_num(points), present, scores, np.full(len(xs), 10.0))


def test_an_empty_frame_costs_all_that_is_missed_once_mended():
    truth = people([1, 2, 3], [10, 50, 90])
    video = [compare(truth, truth), compare(truth, people([], [])), compare(truth, truth)]
    # Two frames are looked at: three hits, and one miss and one false keypoint for the three that nobody found.
    original = mota([video])
    assert (original.misses, original.false, original.objects) == (1, 1, 4)
    assert original.mota[-1] == 50
    mended = mota([video], corrected=True)
    assert (mended.misses, mended.false, mended.objects, mended.matches) == (3, 0, 9, 6)


def test_errors_of_the_last_frame_count_once_mended():
    truth = people([1], [10])
    video = [compare(truth, truth), compare(truth, people([1], [90]))]
    assert mota([video]).mota[-1] == 100
    assert mota([video], corrected=True).mota[-1] == 0


def test_a_keypoint_that_is_never_labelled_is_left_out_once_mended():
    pair = VECTORS["edges"]["joint_neither_labelled_nor_predicted"]["frames"]
    frames = compare_all(read_frames(pair, POSEVAL_ORDER))
    assert average_precision(frames).ap[-1] == pytest.approx(100 * 13 / 15)
    mended = average_precision(frames, corrected=True).ap
    assert np.isnan(mended[:-1]).sum() == 2 and mended[-1] == 100


# --- what the vectors do not have ---


def test_one_labelled_frame_alone_is_no_error():
    truth = people([1], [10])
    result = mota([[compare(truth, truth)]])
    assert np.isnan(result.mota).all() and result.objects.sum() == 0
    assert mota([[compare(truth, truth)]], corrected=True).mota[-1] == 100


def test_nothing_labelled_is_no_error():
    assert compare(people([], []), people([1], [10])) is None
    assert np.isnan(average_precision([]).ap).all()
    assert np.isnan(mota([[]]).mota).all()


def test_heads_are_measured_as_the_original_does_to_the_last_bit():
    # A distance that meets the limit is a hit or a miss by that bit; `np.hypot` has another one in every 200th head.
    boxes = np.stack([np.zeros(10_000), np.zeros(10_000), *np.divmod(np.arange(10_000), 100)], axis=1) / 4
    assert head_sizes(boxes).tolist() == [0.6 * np.linalg.norm(box[2:]) for box in boxes]


@pytest.mark.parametrize("whose", ["truth", "predictions"])
def test_two_people_of_one_id_are_an_error(whose):
    sides = {"truth": people([1, 2], [10, 50]), "predictions": people([1, 2], [10, 50])}
    sides[whose] = people([7, 7], [10, 50])
    with pytest.raises(DataError, match=f"the {whose}: id 7 stands for 2 people"):
        compare(*sides.values())


def test_a_point_that_is_not_finite_is_false_and_hits_nobody():
    truth = people([1, 2], [10, 50])
    broken = people([1, 2], [10, 50], [0.9, 0.8])
    broken.points[1] = np.nan
    result = mota([[compare(truth, broken)]], corrected=True)
    assert (result.misses, result.false, result.matches) == (1, 1, 1)
    assert average_precision([compare(truth, broken)]).ap[-1] == 50


def test_predictions_without_scores_come_last():
    frame = compare(people([1], [10]), people([1], [10]))
    assert (frame.scores == NO_SCORE).all()


def test_a_switch_is_counted_against_the_last_match_ever():
    truth = people([1], [10])
    nobody = people([], [])
    video = [
        compare(truth, found) for found in (people([5], [10]), nobody, nobody, people([6], [10]), people([6], [10]))
    ]
    assert mota([video], corrected=True).switches == 1


def test_two_of_the_truth_who_had_one_partner_do_not_share_it():
    both = people([1, 2], [50, 52])
    # First 9 follows person 1, then person 2; when both are near, the first of the file keeps it.
    video = [
        compare(people([1], [50]), people([9], [50])),
        compare(people([2], [52]), people([9], [52])),
        compare(both, people([9], [52])),
        compare(both, people([9], [52])),
    ]
    assert mota([video], corrected=True).matches == 4


@pytest.mark.parametrize(
    ("point", "expected"),
    [((5, 5), True), ((0, 5), False), ((10, 10), False), ((5, 0), False), ((11, 5), False), ((5, 10.001), False)],
)
def test_only_what_is_strictly_inside_a_region_is_ignored(point, expected):
    square = np.array([(0, 0), (10, 0), (10, 10), (0, 10)])
    assert inside(np.array(point), [square]) == expected
    assert inside(np.array(point), [square[::-1]]) == expected


def test_a_region_that_crosses_itself_has_two_insides():
    bow = np.array([(0, 0), (10, 10), (10, 0), (0, 10)])
    points = np.array([(1, 5), (9, 5), (5, 1), (5, 9), (5, 5), (2, 2)])
    assert inside(points, [bow]).tolist() == [True, True, False, False, False, False]


def test_regions_of_no_area_have_no_inside():
    points = np.array([(5, 5), (0, 0)])
    assert not inside(points, [np.array([(0, 0), (10, 10)]), np.zeros((0, 2))]).any()
    assert inside(np.zeros((0, 2)), [np.array([(0, 0), (1, 0), (1, 1)])]).shape == (0,)
