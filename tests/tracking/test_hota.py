"""HOTA of keypoints and of people, against the numbers of PoseTrack21's code and of TrackEval."""

import json

import numpy as np
import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.runtime.oks import oks_between
from hrtoolkit.tracking.boxes import box_iou
from hrtoolkit.tracking.hota import COUNTS, THRESHOLDS, keypoint_hota, people_hota
from hrtoolkit.tracking.keypoints import Comparison, compare_for_hota
from hrtoolkit.tracking.people import measure_people, people_clear, people_identity
from hrtoolkit.tracking.poseval import mota

from .posetrack import NAMES, SEQUENCES, VECTORS, assert_equal, read_file, read_frames, read_people

ORDER = range(len(NAMES))
# Where PoseTrack21's code stops: frames whose truth lies in a region whole, and a labelled frame without people.
STOPS = {"990003": (3, 8), "990004": (8,)}


def compare_all(frames, left_out=()):
    return [
        compare_for_hota(truth, found, regions)
        for place, (truth, found, regions, labelled) in enumerate(frames)
        if labelled and place not in left_out
    ]


def read_sequence(name, truth_as_prediction=False):
    return compare_all(read_frames(VECTORS["sequences"][name], ORDER, truth_as_prediction), STOPS.get(name, ()))


def check(result, expected):
    assert {"HOTA", "FragA", "TP_at_0.05"} <= expected.keys()
    for name, values in expected.items():
        if "_at_" in name:
            name, threshold = name.split("_at_")
            place = int(np.abs(THRESHOLDS - float(threshold)).argmin())
            assert_equal(result.counts[name][place], values)
        else:
            assert_equal(result.numbers[name], values)


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_is_scored_as_posetrack21_does(name):
    check(keypoint_hota([read_sequence(name)]), VECTORS["hota"][name])


@pytest.mark.parametrize("truth_as_prediction", [False, True])
def test_several_sequences_are_scored_as_posetrack21_does(truth_as_prediction):
    videos = [read_sequence(name, truth_as_prediction) for name in SEQUENCES]
    check(keypoint_hota(videos), VECTORS["hota"]["truth" if truth_as_prediction else "all"])


@pytest.mark.parametrize("name", VECTORS["hota_corrected"])
def test_counts_of_an_empty_frame_are_mended(name):
    videos = [read_sequence(one) for one in (SEQUENCES if name == "all" else [name])]
    check(keypoint_hota(videos, corrected=True), VECTORS["hota_corrected"][name])


def test_files_of_posetrack_are_scored_as_posetrack21_does(test_data):
    folder = test_data / "tracking"
    videos = [
        compare_all(read_file(folder / "annotations/val" / name, folder / "predictions" / name))
        for name in ("990101_mpii_test.json", "990102_mpii_test.json")
    ]
    check(keypoint_hota(videos), json.loads((folder / "expected.json").read_text())["hota_points"])


@pytest.mark.parametrize("corrected", [False, True])
def test_frames_where_the_original_stops_are_scored(corrected):
    videos = [compare_all(read_frames(VECTORS["sequences"][name], ORDER)) for name in SEQUENCES]
    result = keypoint_hota(videos, corrected)
    hits, misses, false = (result.counts[name][:, :-1] for name in COUNTS)
    assert np.isfinite(list(result.numbers.values())).all()
    if corrected:  # every keypoint is counted once
        assert (hits + misses == sum(frame.labelled.sum(axis=1) for video in videos for frame in video)).all()
        assert (hits + false == sum(frame.predicted.sum(axis=1) for video in videos for frame in video)).all()


def test_a_partner_who_changes_and_comes_back_cuts_a_track_in_three():
    truth, found = (read_people(VECTORS["sequences"]["990001"][0][side], ORDER) for side in ("truth", "predictions"))
    truth, found = (people.select(np.array([0])) for people in (truth, found))
    ids = [1, 1, 2, 1]
    video = [compare_for_hota(truth, truth._replace(ids=np.array([one]))) for one in ids]
    result = keypoint_hota([video])
    # Pair (0, 1): 3 of 4 frames in pieces of 2 and 1; pair (0, 2): 1 of 4. Divided by 4 hits.
    assert_equal(result.numbers["AssA"], [(9 / 4 + 1 / 4) / 4] * 16)
    assert_equal(result.numbers["FragA"], [((4 + 1) / 4 + 1 / 4) / 4] * 16)


# --- people ---


def extents(people):
    points, absent = people.points, ~people.present[..., None]
    return np.concatenate(
        [np.where(absent, np.inf, points).min(axis=1), np.where(absent, -np.inf, points).max(axis=1)], axis=1
    )


def measure(frame, kind):
    truth, found, _, _ = frame
    boxes = extents(truth)
    if kind == "iou":
        return measure_people(truth.ids, found.ids, box_iou(boxes[:, None], extents(found)))
    areas = 1.3**2 * (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1)
    sigmas = np.delete(VECTORS["sigmas"], [3, 4])
    guesses = np.where(found.present[..., None], found.points, 1e9)  # an absent point is like none
    values = oks_between(truth.points[:, None], guesses, areas[:, None], sigmas, truth.present[:, None])
    return measure_people(truth.ids, found.ids, values)


def measures(name, kind):
    frames = read_frames(VECTORS["sequences"][name], ORDER)
    return [measure(frame, kind) for frame in frames if frame[-1]]


PEOPLE = [(name, kind) for name, kinds in VECTORS["people"].items() for kind in kinds]


@pytest.mark.parametrize(("name", "kind"), PEOPLE)
def test_people_are_scored_as_trackeval_does(name, kind):
    video, expected = measures(name, kind), VECTORS["people"][name][kind]
    hota = people_hota([video])
    for number, value in expected["hota"].items():
        assert_equal(hota.numbers[number], [value])
    assert_equal(hota.hota[:, 0], expected["hota_by_alpha"])
    assert_equal(people_clear([video]), list(expected["clear"].values()))
    assert_equal(people_identity([video]), list(expected["identity"].values()))
    if "similarity_of_frame_5" in expected:
        assert_equal(video[5].values, expected["similarity_of_frame_5"])


@pytest.mark.parametrize(("name", "kind"), PEOPLE)
def test_people_are_followed_as_motmetrics_does(name, kind):
    # People as the only keypoint, at the distance 1 - similarity.
    video = [
        Comparison(
            frame.truth_ids,
            frame.ids,
            np.ones((1, len(frame.truth_ids)), bool),
            np.ones((1, len(frame.ids)), bool),
            1 - frame.values[None],
            np.ones((1, len(frame.ids))),
        )
        for frame in measures(name, kind)
    ]
    result, expected = mota([video], corrected=True), VECTORS["people"][name][kind]["motmetrics"]
    assert_equal(result.mota[-1], 100 * expected["mota"])
    assert_equal(result.motp[-1], 100 * (1 - expected["motp"]))
    counts = [int(count[0]) for count in (result.switches, result.misses, result.false)]
    assert counts == [expected[name] for name in ("num_switches", "num_misses", "num_false_positives")]


def test_several_videos_are_summed():
    videos = [measures(name, "iou") for name in ("990001", "990002")]
    parts, whole = [people_clear([video]) for video in videos], people_clear(videos)
    assert whole[2:] == tuple(map(sum, zip(*(part[2:] for part in parts), strict=True)))
    assert whole.mota == (whole.hits - whole.false - whole.switches) / (whole.hits + whole.misses)
    hits = [people_hota([video]).counts["TP"] for video in videos]
    assert (people_hota(videos).counts["TP"] == sum(hits)).all()


def test_nobody_at_all_is_no_error():
    empty = measure_people(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 0)))
    alone = measure_people(np.zeros(0, int), np.array([4]), np.zeros((0, 1)))
    assert people_clear([[empty, alone]]).false == 1
    assert people_identity([[empty, alone]]).false == 1
    assert people_hota([[empty, alone]]).counts["FP"].tolist() == [[1]] * 19


def test_two_people_of_one_id_are_an_error():
    with pytest.raises(DataError, match="id 3 stands for 2 people"):
        measure_people(np.array([3, 3]), np.array([1]), np.ones((2, 1)))


def test_boxes_without_area_overlap_nobody():
    boxes = np.array([[0, 0, 10, 10], [5, 5, 5, 9], [0, 0, 10, 5]], float)
    assert_equal(box_iou(boxes[:, None], boxes[:2]), [[1, 0], [0, 0], [0.5, 0]])
