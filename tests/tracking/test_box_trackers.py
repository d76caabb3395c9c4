"""The trackers of the package `trackers`: rows stay with their people, in their order, whatever they give back."""

import sys

import numpy as np
import pytest

from hrtoolkit.errors import UserError
from hrtoolkit.toy.films import make_film
from hrtoolkit.tracking.box_trackers import CLASSES, BoxTracker
from hrtoolkit.tracking.tracker import Tracker

from .test_tracker import predictions, where


@pytest.mark.parametrize("method", CLASSES)
def test_people_keep_their_ids_rows_and_scores(method):
    pytest.importorskip("trackers")
    truth, found = make_film("returning", seconds=4, people=3)
    results = list(Tracker(method)(predictions(truth)))
    owners: dict = {}
    for one, frame in zip(results, truth, strict=True):
        np.testing.assert_array_equal(one.record.boxes_xyxy, frame.boxes)
        for number, person in zip(one.record.ids.tolist(), frame.ids.tolist(), strict=True):
            if number > 0:
                owners.setdefault(number, []).append(person)
    assert min(owners) == 1 and all(len(people) > 20 for people in owners.values() if len(owners) == 3)
    wrong = sum(len(people) - np.bincount(people).max() for people in owners.values())
    assert wrong <= 5 and sum(map(len, owners.values())) > 0.9 * sum(len(frame.ids) for frame in truth)
    doubtful = list(Tracker(method)(predictions(found)))
    assert sum(len(one.record.ids) for one in doubtful) == sum(len(frame.ids) for frame in found)  # nobody is lost


def test_who_is_nowhere_has_no_id_and_the_others_do(recwarn):
    pytest.importorskip("trackers")
    tracker = BoxTracker("bytetrack")
    boxes = np.array([[0, 0, 0, 0], [10, 10, 50, 90], [np.nan] * 4, [100, 10, 150, 90]])
    for step in range(3):
        ids = tracker.update(boxes, np.ones(4), time=step / 30)
    assert ids[0] == ids[2] == -1 and sorted(ids[[1, 3]]) == [1, 2]
    assert tracker.update(np.zeros((0, 4)), np.zeros(0), time=0.2).shape == (0,)


@pytest.mark.parametrize("fps", [10, 30])
def test_somebody_lost_is_waited_for_in_seconds(fps):
    pytest.importorskip("trackers")

    def ids_after(gap, keep):
        tracker = BoxTracker("bytetrack", keep=keep)
        box, one = np.array([[10.0, 10, 50, 90]]), np.ones(1)
        for frame in range(fps):
            last = tracker.update(box, one, time=frame / fps)
        for frame in range(round(gap * fps)):
            tracker.update(np.zeros((0, 4)), np.zeros(0), time=1 + frame / fps)
        after = [tracker.update(box, one, time=1 + gap + frame / fps)[0] for frame in range(4)]
        return last[0], after[-1]

    before, after = ids_after(0.5, keep=1)
    assert before == after == 1
    before, after = ids_after(1.5, keep=1)
    assert before == 1 and after == 2


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(UserError, match=r"'botsort'.*hrtoolkit\[trackers\]"):
        Tracker("botsort")


def test_two_videos_do_not_share_people():
    pytest.importorskip("trackers")
    frames = make_film("crossing", seconds=1)[0]
    both = list(Tracker("sort")([*predictions(frames, "a.mp4"), *predictions(frames, "b.mp4")]))
    assert where(both[: len(frames)]) == where(both[len(frames) :])
