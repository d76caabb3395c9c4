"""The tracker: rules one by one on a few people, then films with exact truth."""

import logging

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.runtime.oks import oks_between
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import COCO, with_sigmas
from hrtoolkit.toy.films import KINDS, make_film
from hrtoolkit.tracking.boxes import box_iou
from hrtoolkit.tracking.hota import people_hota
from hrtoolkit.tracking.matching import match
from hrtoolkit.tracking.oks_tracker import OksTracker
from hrtoolkit.tracking.people import measure_people, people_clear, people_identity

from .posetrack import VECTORS, assert_equal, read_people

# --- similarity and pairs ---


def test_similarity_of_poses_is_that_of_the_vectors():
    expected = VECTORS["association"]["oks_frame_2_to_3"]
    frames = VECTORS["sequences"]["990002"]
    # 17 keypoints: the ears are absent in both, at (0, 0), and count as equal.
    before, after = (
        np.insert(read_people(frames[place]["predictions"], range(15)).points, [3, 3], 0.0, axis=1) for place in (2, 3)
    )
    areas = [np.array(some) for some in expected["areas"]]
    pair_areas = (areas[0][:, None] + areas[1]) / 2
    values = oks_between(before[:, None], after, pair_areas, VECTORS["sigmas"])
    assert_equal(values, expected["matrix_double"])


@pytest.mark.parametrize("case", VECTORS["association"]["cases"])
def test_the_gate_stands_before_the_assignment(case):
    rows, columns = match(np.array(case["matrix"]), case["limit"])
    assert np.stack([rows, columns], axis=1).tolist() == case["pairs"]["assignment_gated_first"]


def test_a_forbidden_pair_takes_no_allowed_one_away():
    # Pairs made first and gated afterwards are (1, 0) alone.
    assert [list(some) for some in match(np.array([[0.9, 0.45], [0.6, 0.1]]), 0.5)] == [[0], [0]]
    assert len(match(np.full((2, 3), np.nan), 0.1)[0]) == 0
    assert len(match(np.zeros((0, 3)), 0.0)[0]) == 0


# --- people ---

SHAPE = np.stack([np.tile([-20.0, 0, 20], 6)[:17], np.linspace(-80, 80, 17)], axis=-1)


def person(x, y=200.0, score=0.9, scale=1.0):
    points = SHAPE * scale + (x, y)
    return np.concatenate([points.min(axis=0), points.max(axis=0)]), score, points, np.full(17, 0.9)


def update(tracker, people, time):
    columns = [np.array(column) for column in zip(*people, strict=True)] if people else [np.zeros((0, 4)), np.zeros(0)]
    return tracker.update(*columns, time=time).tolist()


@pytest.fixture
def tracker():
    return OksTracker(COCO.sigmas)


def test_ids_count_from_1_and_stay(tracker):
    for frame in range(10):
        people = [person(100 + 4 * frame), person(500 - 4 * frame)]
        assert update(tracker, people[:: 1 if frame % 2 else -1], frame / 30) == ([1, 2] if frame % 2 else [2, 1])


def test_reset_begins_at_1_again(tracker):
    assert update(tracker, [person(100), person(500)], 0) == [1, 2]
    tracker.reset()
    assert update(tracker, [person(500)], 0) == [1]


def test_two_people_who_cross_keep_their_ids(tracker):
    for frame in range(60):
        people = [person(100 + 8 * frame, scale=1.1), person(580 - 8 * frame, y=210)]
        # Nobody finds who is behind.
        hidden = abs(people[0][2][0, 0] - people[1][2][0, 0]) < 30
        ids = update(tracker, people[:1] if hidden else people, frame / 30)
        assert ids == [1, 2][: len(ids)]


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_who_is_hidden_is_waited_for_in_seconds(fps):
    tracker = OksTracker(COCO.sigmas, keep=1.0)
    for frame in range(fps):
        update(tracker, [person(100 + 90 * frame / fps)], frame / fps)
    for seconds, expected in ((0.9, [1]), (1.2, [2])):
        now = 1 + seconds
        assert update(tracker, [], 1.0) == []
        assert update(tracker, [person(100 + 90 * now)], now) == expected
        tracker.reset()
        for frame in range(fps):
            update(tracker, [person(100 + 90 * frame / fps)], frame / fps)


def test_an_id_is_never_given_twice(tracker):
    seen = []
    for burst in range(5):
        seen += update(tracker, [person(100 + 200 * burst)], 10.0 * burst)
    assert seen == [1, 2, 3, 4, 5]


def test_a_frame_a_second_is_enough_where_people_stand():
    tracker = OksTracker(COCO.sigmas, keep=0.5)
    assert [update(tracker, [person(100 + i), person(400)], 1.0 * i) for i in range(4)] == [[1, 2]] * 4


def test_a_low_score_never_loses_somebody(tracker):
    assert update(tracker, [person(100, score=0.9)], 0.0) == [1]
    assert update(tracker, [person(102, score=0.2)], 0.03) == [1]


def test_who_always_has_a_low_score_has_an_id_from_the_second_sighting(tracker):
    ids = [update(tracker, [person(100 + i, score=0.3)], i / 30) for i in range(3)]
    assert ids == [[-1], [1], [1]]


def test_named_tells_whose_an_id_was_before_it_was_given():
    tracker = OksTracker(COCO.sigmas, confirm=3)
    assert update(tracker, [person(400), person(100)], 0.0) == [-1, -1]
    assert update(tracker, [person(100)], 0.03) == [-1]
    assert tracker.named == {}
    assert update(tracker, [person(700), person(100)], 0.06) == [-1, 1]
    # Who was seen once and then missed is forgotten.
    assert tracker.named == {1: [(0, 1), (1, 0)]}
    assert update(tracker, [person(100)], 0.09) == [1]
    assert tracker.named == {}


def test_ids_do_not_depend_on_the_order_in_a_frame():
    rng = np.random.default_rng(0)
    _, found = make_film("crossing", fps=10, seconds=6)
    one, other = OksTracker(COCO.sigmas), OksTracker(COCO.sigmas)
    for frame in found:
        columns = frame.boxes, frame.scores, frame.points, frame.point_scores
        order = rng.permutation(len(frame.scores))
        ids = one.update(*columns, time=frame.time)
        assert (other.update(*(column[order] for column in columns), time=frame.time) == ids[order]).all()


def test_a_camera_that_moves_takes_nobody_away(tracker):
    rng = np.random.default_rng(0)
    for frame in range(20):
        shift = rng.uniform(-12, 12) if frame > 3 else 0
        people = [person(150 + 150 * i + 3 * frame * (-1) ** i + shift) for i in range(4)]
        missing = frame % 5 == 4  # one is lost, and found again after the camera has moved on
        ids = update(tracker, people[1:] if missing else people, frame / 30)
        assert ids == [1, 2, 3, 4][missing:], frame


# --- boxes ---


def test_boxes_alone_are_followed():
    tracker = OksTracker()
    for frame in range(10):
        boxes = np.array([[0, 0, 50, 100], [300, 0, 350, 100]]) + 5.0 * frame
        assert tracker.update(boxes, np.ones(2), time=frame / 30).tolist() == [1, 2]


def test_boxes_decide_where_keypoints_are_too_few(tracker):
    ids = []
    for frame in range(3):
        box, score, points, seen = person(100 + 5 * frame)
        seen[2:] = 0.0  # two are seen, and these are wild
        points[:2] += np.random.default_rng(frame).normal(0, 80, (2, 2))
        ids += update(tracker, [(box, score, points, seen)], frame / 30)
    assert ids == [1, 1, 1]


# --- bad input ---


@pytest.mark.parametrize("wrong", [0.1, 0.05, float("nan"), float("inf"), -3.0])
def test_a_time_that_does_not_run_on_is_said_and_nobody_is_lost(tracker, caplog, wrong):
    times = [0.0, 0.05, 0.1, wrong, 0.2, 0.25]
    with caplog.at_level(logging.WARNING):
        assert [update(tracker, [person(100 + 3 * i)], time) for i, time in enumerate(times)] == [[1]] * 6
    assert caplog.text.count("frame 3: its time is") == 1


def test_a_clock_that_stands_still_is_said_once(tracker, caplog):
    with caplog.at_level(logging.WARNING):
        assert [update(tracker, [person(100 + 3 * i)], 7.0) for i in range(20)] == [[1]] * 20
    assert len(caplog.records) == 1


def test_frames_without_people_are_no_error(tracker):
    assert update(tracker, [], 0.0) == []
    assert update(tracker, [person(100)], 0.1) == [1]
    assert update(tracker, [], 0.2) == []
    assert update(tracker, [person(100)], 0.3) == [1]


def test_one_keypoint_without_a_box_is_followed():
    scheme = with_sigmas(KeypointScheme(names=("tip",)))  # without sigmas of its own
    tracker = OksTracker(scheme.sigmas)
    for frame in range(10):
        points = np.array([[[100.0 + 2 * frame, 50]], [[300.0, 50 + 2 * frame]]])
        boxes = np.concatenate([points[:, 0], points[:, 0]], axis=1)  # of no area
        assert tracker.update(boxes, np.ones(2), points, np.ones((2, 1)), time=frame / 30).tolist() == [1, 2]


def test_points_that_are_not_finite_are_not_seen(tracker):
    for frame in range(4):
        box, score, points, seen = person(100 + 3 * frame)
        points[frame::3] = np.nan
        assert update(tracker, [(box, score, points, seen)], frame / 30) == [1]


def test_who_is_nowhere_has_no_id_and_disturbs_nobody(tracker):
    lost = (np.full(4, np.nan), 0.9, np.full((17, 2), np.nan), np.full(17, 0.9))
    for frame in range(3):
        assert update(tracker, [lost, person(100 + frame)], frame / 30) == [-1, 1]


def test_a_box_that_is_lacking_is_read_from_the_points(tracker):
    _, score, points, seen = person(100)
    boxes = np.array([[np.nan] * 4, [5.0, 5, 5, 5]])
    people = [(box, score, points + 300 * i, seen) for i, box in enumerate(boxes)]
    assert update(tracker, people, 0.0) == [1, 2]
    assert update(tracker, people, 0.1) == [1, 2]
    assert np.isnan(boxes[0]).all()  # what was given is not written to


def test_somebody_who_is_found_twice_has_one_id(tracker):
    ids = [update(tracker, [person(100 + i, score=0.9), person(100.5 + i, score=0.8)], i / 30) for i in range(3)]
    assert sorted(ids[0]) == [-1, 1]
    assert all(sorted(some) == [-1, 1] for some in ids)


def test_200_people_are_followed(tracker):
    people = [person(60 + 60 * (i % 20), 100 + 180 * (i // 20)) for i in range(200)]
    first = update(tracker, people, 0.0)
    assert sorted(first) == list(range(1, 201))
    assert update(tracker, people, 0.1) == first


def test_options_out_of_range_and_other_keypoints_are_errors(tracker):
    with pytest.raises(OptionError, match="keep is -1"):
        OksTracker(COCO.sigmas, keep=-1)
    with pytest.raises(OptionError, match="least is 2, expected a number from 0 to 1"):
        OksTracker(COCO.sigmas, least=2)
    with pytest.raises(OptionError, match="confirm is 0"):
        OksTracker(COCO.sigmas, confirm=0)
    with pytest.raises(OptionError, match="17 sigmas for 21 keypoints"):
        tracker.update(np.ones((1, 4)), np.ones(1), np.ones((1, 21, 2)), time=0)


# --- films ---


def follow(film, sigmas=COCO.sigmas):
    """Measures of a film that is tracked."""
    tracker, measures = OksTracker(sigmas), []
    for truth, found in zip(*film, strict=True):
        poses = (found.points, found.point_scores) if sigmas else ()
        ids = tracker.update(found.boxes, found.scores, *poses, time=found.time)
        named = ids > 0
        values = box_iou(truth.boxes[:, None], found.boxes[named])
        measures.append(measure_people(truth.ids, ids[named], values))
    return measures


def follow_by_boxes_alone(film):
    """The plainest tracker there is: boxes that overlap from one frame to the next."""
    measures, boxes, ids, given = [], np.zeros((0, 4)), np.zeros(0, int), 0
    for truth, found in zip(*film, strict=True):
        rows, columns = match(box_iou(boxes[:, None], found.boxes), 0.3)
        now = np.zeros(len(found.boxes), int)
        now[columns] = ids[rows]
        now[now == 0] = given + 1 + np.arange((now == 0).sum())
        given, boxes, ids = max(given, now.max(initial=0)), found.boxes, now
        measures.append(measure_people(truth.ids, ids, box_iou(truth.boxes[:, None], boxes)))
    return measures


@pytest.mark.parametrize("fps", [10, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_poses_tell_people_apart_where_boxes_do_not(kind, fps):
    films = [make_film(kind, fps, seconds=6, seed=seed) for seed in (20, 21)]
    ours, plain = [follow(film) for film in films], [follow_by_boxes_alone(film) for film in films]
    boxes = [follow(film, ()) for film in films]
    assert people_clear(ours).switches < people_clear(plain).switches / 3
    assert people_identity(ours).idf1 > people_identity(plain).idf1 + 0.15
    hota = [people_hota(some).numbers["HOTA"][0] for some in (ours, boxes, plain)]
    assert hota[0] > hota[1] > hota[2]


def test_a_film_is_the_same_for_the_same_seed():
    films = [make_film("shake", fps=10, seconds=1, seed=seed)[1] for seed in (3, 3, 4)]
    assert all((one.points == other.points).all() for one, other in zip(*films[:2], strict=True))
    assert not np.array_equal(films[0][0].points, films[2][0].points)
