"""The stage between predictions and whoever takes them: ids, late by a few frames, and calmer points."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.predict import Prediction, Source
from hrtoolkit.records import Category, Objects
from hrtoolkit.schemes.people import COCO
from hrtoolkit.toy.films import make_film
from hrtoolkit.tracking.smoothing import savitzky_golay
from hrtoolkit.tracking.tracker import Tracker

IMAGE = np.zeros((8, 8, 3), np.uint8)


def predictions(frames, name="film.mp4", boxes_alone=False, order=None):
    for number, frame in enumerate(frames):
        chosen = np.arange(len(frame.boxes)) if order is None else order.permutation(len(frame.boxes))
        record = Objects(
            frame.boxes[chosen],
            np.zeros(len(chosen), np.int64),
            frame.scores[chosen],
            None if boxes_alone else frame.points[chosen].astype(np.float32),
            point_scores=None if boxes_alone else frame.point_scores[chosen],
        )
        yield Prediction(Source(name, None, number, frame.time), record, COCO, IMAGE)


@pytest.fixture(scope="module")
def found():
    return make_film("crossing", seconds=6)[1]


def where(results):
    """Boxes by frame and id."""
    return [
        {int(i): box.tolist() for i, box in zip(one.record.ids, one.record.boxes_xyxy, strict=True) if i > 0}
        for one in results
    ]


def test_predictions_come_in_their_order_with_ids_from_one(found):
    results = list(Tracker()(predictions(found)))
    assert [one.source.frame for one in results] == list(range(len(found)))
    ids = np.concatenate([one.record.ids for one in results])
    assert set(ids[ids > 0]) == set(range(1, ids.max() + 1))
    for one, frame in zip(results, found, strict=True):
        np.testing.assert_array_equal(one.record.boxes_xyxy, frame.boxes)
        known = one.record.ids[one.record.ids > 0]
        assert len(set(known)) == len(known) and one.record.raw_points is None


def test_ids_do_not_depend_on_the_order_within_a_frame(found):
    shuffled = list(Tracker()(predictions(found, order=np.random.default_rng(3))))
    assert where(shuffled) == where(list(Tracker()(predictions(found))))


def test_who_gets_an_id_late_has_it_in_the_frames_before():
    truth = make_film("crossing", seconds=2)[0]
    weak = [frame._replace(scores=np.full(len(frame.scores), 0.4)) for frame in truth]
    for frames, confirm in ((truth, 1), (truth, 5), (weak, 3)):
        results = list(Tracker(confirm=confirm)(predictions(frames)))[:40]
        # The first one is hidden after two frames, and again after one more.
        nameless = [set(frame.ids[one.record.ids < 1]) for one, frame in zip(results, truth, strict=False)]
        assert all(some <= {0} for some in nameless)
    empty = [frame._replace(**{name: getattr(frame, name)[:0] for name in frame._fields[1:]}) for frame in truth]
    assert not any(where(Tracker(confirm=3)(predictions(truth[:2] + empty[2:]))))


def test_it_is_late_by_as_many_frames_as_it_needs(found):
    asked = []

    def watched():
        for one in predictions(found):
            asked.append(one.source.frame)
            yield one

    for options, late in (({}, 1), ({"confirm": 4}, 4), ({"smooth": "savgol"}, 7), ({"smooth": "one-euro"}, 1)):
        asked.clear()
        first = next(Tracker(**options)(watched()))
        assert first.source.frame == 0 and asked == list(range(late + 1))


def test_another_video_begins_with_the_first_id(found):
    tracker = Tracker()
    both = [*tracker([*predictions(found[:20], "a.mp4"), *predictions(found[:20], "b.mp4")])]
    assert where(both[:20]) == where(both[20:]) and [one.source.name for one in both] == ["a.mp4"] * 20 + ["b.mp4"] * 20
    assert where(tracker(predictions(found[:20]))) == where(both[:20])


def test_boxes_alone_are_followed(found, caplog):
    results = list(Tracker(smooth="savgol")(predictions(found, boxes_alone=True)))
    assert max(one.record.ids.max(initial=0) for one in results) >= 6
    assert all(one.record.points is None and one.record.raw_points is None for one in results)
    assert [one.getMessage() for one in caplog.records] == [
        "film.mp4: no keypoints there, which smoothing and fixing sides are for"
    ]


def test_savgol_frame_by_frame_equals_that_of_the_whole_video(found):
    results = list(Tracker(smooth="savgol")(predictions(found)))
    times = np.array([frame.time for frame in found])
    for number in range(1, max(one.record.ids.max(initial=0) for one in results) + 1):
        raw, scores, smoothed = np.full((len(found), 17, 2), np.nan), np.zeros((len(found), 17)), None
        smoothed = raw.copy()
        for row, one in enumerate(results):
            place = np.flatnonzero(one.record.ids == number)
            raw[row], scores[row] = (
                (one.record.raw_points[place[0]], one.record.point_scores[place[0]]) if len(place) else (np.nan, 0)
            )
            smoothed[row] = one.record.points[place[0]] if len(place) else np.nan
        np.testing.assert_allclose(smoothed, savitzky_golay(raw, scores, times), atol=1e-3)  # float32


@pytest.mark.parametrize("smooth", ["one-euro", "savgol"])
def test_what_was_found_stays_beside_what_was_smoothed(found, smooth):
    results = list(Tracker(smooth=smooth)(predictions(found)))
    for one, frame in zip(results, found, strict=True):
        np.testing.assert_array_equal(one.record.raw_points, frame.points.astype(np.float32))
        nameless = one.record.ids < 1
        np.testing.assert_array_equal(one.record.points[nameless], one.record.raw_points[nameless])
    last = results[-1].to_dict()["objects"][0]
    assert (
        last["id"] > 0 and set(last["raw_keypoints"]) == set(COCO.names) and last["raw_keypoints"] != last["keypoints"]
    )


@pytest.mark.parametrize("smooth", ["none", "one-euro", "savgol"])
def test_a_film_of_twice_the_resolution_gives_the_same_twice(found, smooth):
    twice = [frame._replace(boxes=2 * frame.boxes, points=2 * frame.points) for frame in found]
    for one, other in zip(*(Tracker(smooth=smooth)(predictions(some)) for some in (found, twice)), strict=True):
        np.testing.assert_array_equal(other.record.ids, one.record.ids)
        np.testing.assert_allclose(other.record.points, 2 * one.record.points, rtol=0, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("smooth", ["one-euro", "savgol"])
def test_smoothing_never_looks_over_a_gap(smooth, unread, stride):
    """Frames without somebody, or that could not be read, part a film into two, one before and one after."""
    rng = np.random.default_rng(0)
    truth = make_film("crossing", seconds=2, people=1)[0]
    frames = [frame._replace(points=frame.points + rng.normal(0, 2, frame.points.shape)) for frame in truth]
    nobody = [frame._replace(**{name: getattr(frame, name)[:0] for name in frame._fields[1:]}) for frame in frames]
    gap = range(25, 30)
    film = list(predictions([*frames[:25], *nobody[25:30], *frames[30:]]))
    film = [replace(one, source=one.source._replace(frame=one.source.frame * stride)) for one in film]
    whole = list(Tracker(smooth=smooth)(one for number, one in enumerate(film) if not (unread and number in gap)))
    parts = [*Tracker(smooth=smooth)(predictions(frames[:25])), *Tracker(smooth=smooth)(predictions(frames[30:]))]
    there = [*whole[:25], *whole[-30:]]
    assert len(parts) == 55 and all(one.record.ids == [1] for one in there)
    for one, other in zip(there, parts, strict=True):
        np.testing.assert_allclose(one.record.points, other.record.points, atol=1e-3)  # float32
        np.testing.assert_array_equal(one.record.raw_points, other.record.raw_points)
    assert np.abs(there[20].record.points - there[20].record.raw_points).max() > 0.5


def test_times_that_stand_still_do_not_stop_it(found, caplog):
    still = [frame._replace(time=1.0) for frame in found[:30]]
    results = list(Tracker(smooth="savgol")(predictions(still)))
    assert len(results) == 30 and all(np.isfinite(one.record.points).all() for one in results)
    assert caplog.text.count("its time is") == 1


def test_frames_without_people_and_frames_that_are_missing_are_gaps(found):
    nobody = [frame._replace(**{name: getattr(frame, name)[:0] for name in frame._fields[1:]}) for frame in found]
    assert all(len(one.record.ids) == 0 for one in Tracker()(predictions(nobody)))
    truth = make_film("crossing", seconds=2)[0]
    gap = [one for one in predictions(truth) if one.source.frame not in (20, 21, 22)]
    assert where(Tracker()(iter(gap)))[-1].keys() == where(Tracker()(predictions(truth)))[-1].keys()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("smooth", ["none", "one-euro", "savgol"])
def test_points_that_are_not_finite_are_told_once_and_disturb_no_others(found, smooth, wrong, caplog):
    lost = np.random.default_rng(0).random((len(found), 17)) < 0.1
    broken = [
        one._replace(points=np.where(some[None, :, None], wrong, one.points))
        for one, some in zip(found, lost, strict=True)
    ]
    results = list(Tracker(smooth=smooth)(predictions(broken)))
    assert caplog.text.count("film.mp4#0: keypoints that are not finite count as not seen") == 1 == len(caplog.records)
    for one, some in zip(results, lost, strict=True):
        assert (np.isfinite(one.record.points).all(axis=-1) == ~some).all()
        text = json.dumps(one.to_dict(), allow_nan=False)
        for thing in json.loads(text)["objects"]:
            assert [point == [0, 0, 0] for point in thing["keypoints"].values()] == some.tolist()
    assert max(one.record.ids.max(initial=0) for one in results) >= 6


def test_what_has_no_ids_says_so(found):
    picture = Prediction(Source("a.jpg"), next(predictions(found)).record, COCO, IMAGE)
    with pytest.raises(OptionError, match=r"a picture by itself.*--fps"):
        list(Tracker()([picture]))
    category = Prediction(Source("a.mp4", None, 0, 0.0), Category(1, np.ones(3)), COCO, IMAGE)
    with pytest.raises(OptionError, match="people and objects"):
        list(Tracker()([category]))
    for options in (dict(smooth="gauss"), dict(keep=-1), dict(confirm=0)):
        with pytest.raises(OptionError):
            Tracker(**options)
