"""A detector that looks at some frames only: where people are looked for between, and when it is called early."""

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.predict import Prediction, Source
from hrtoolkit.predict.sparse_detection import SparseDetector
from hrtoolkit.records import Objects
from hrtoolkit.runtime.boxes import Boxes
from hrtoolkit.runtime.sources import Picture
from hrtoolkit.schemes.people import COCO
from hrtoolkit.toy.films import HEIGHT, WIDTH, find_poses, make_film
from hrtoolkit.tracking.boxes import box_iou, enclose
from hrtoolkit.tracking.people import measure_people, people_clear
from hrtoolkit.tracking.tracker import Tracker

IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
EVERYBODY = np.ones((1, 17), bool)


def look(boxes, frame, rng):
    """What is found in boxes."""
    points, scores = find_poses(boxes.boxes_xyxy, frame, rng)
    return Objects(
        boxes.boxes_xyxy,
        np.zeros(len(points), np.int64),
        boxes.scores * scores.mean(axis=1),
        points.astype(np.float32),
        point_scores=scores,
    )


class Film:
    """People of a drawn film, seen through a sparse detector that counts its calls."""

    def __init__(self, truth, found, every):
        self.truth, self.found, self.calls, self.boxes = truth, found, [], []
        self.detector = SparseDetector(self.detect, every, COCO.sigmas)

    def detect(self, index, picture):
        self.calls.append(index)
        return Boxes(self.found[index].boxes, self.found[index].scores.astype(np.float32))

    def __iter__(self):
        rng = np.random.default_rng(0)
        for index, frame in enumerate(self.truth):
            picture = Picture(Source("film", None, index, frame.time), IMAGE)
            boxes = self.detector(index, picture)
            self.boxes.append(boxes)
            record = self.detector.see(look(boxes, frame, rng))
            yield Prediction(picture.source, record, COCO, picture.image)


def accuracy(truth, predictions):
    measures = []
    for frame, one in zip(truth, Tracker()(iter(predictions)), strict=True):
        known = one.record.ids > 0
        found = enclose(one.record.points[known], one.record.point_scores[known] > 0.3)
        boxes = enclose(frame.points, np.repeat(EVERYBODY, len(frame.points), axis=0))
        measures.append(measure_people(frame.ids, one.record.ids[known], box_iou(boxes[:, None], found)))
    return people_clear([measures]).mota


@pytest.mark.parametrize("kind", ["crossing", "returning"])
def test_a_fifth_of_the_detections_is_nearly_as_good(kind):
    truth, found = make_film(kind, seconds=8)
    every, fifth = Film(truth, found, 1), Film(truth, found, 5)
    before, after = accuracy(truth, every), accuracy(truth, fifth)
    assert after > 0.9 * before and after > 0.85
    assert len(every.calls) == len(truth) and len(fifth.calls) < 0.4 * len(truth)


def alone(count=30, speed=8.0):
    """One person who walks to the right, found exactly."""
    truth, _ = make_film("crossing", seconds=1, people=1)
    first = truth[0]._replace(ids=np.array([0]), scores=np.ones(1))
    steps = [np.array([speed * index, 0.0]) for index in range(count)]
    return [
        first._replace(time=index / 30, points=first.points + step, boxes=first.boxes + np.tile(step, 2))
        for index, step in enumerate(steps)
    ]


def test_it_is_called_every_nth_frame_and_boxes_move_with_people_between():
    film = Film(*[alone()] * 2, 5)
    predictions = list(film)
    assert film.calls == [0, 5, 10, 15, 20, 25]
    for boxes, frame, one in zip(film.boxes, film.truth, predictions, strict=True):
        assert boxes.scores == [1.0]  # a detector's, also between: it does not shrink from frame to frame
        middle = (boxes.boxes_xyxy[0, :2] + boxes.boxes_xyxy[0, 2:]) / 2
        extent = enclose(frame.points, EVERYBODY)[0]
        np.testing.assert_allclose(middle, (extent[:2] + extent[2:]) / 2, atol=15)
        assert len(one.record.points) == 1


def test_who_comes_is_found_within_n_frames_and_whom_it_misses_stays():
    here, up = alone(), np.array([0.0, 250.0])
    there = [frame._replace(boxes=frame.boxes - np.tile(up, 2), points=frame.points - up) for frame in here]
    both = [
        a._replace(**{name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in a._fields[1:]})
        for a, b in zip(here, there, strict=True)
    ]
    film = Film(here[:12] + both[12:], here[:12] + both[12:], 5)
    assert [len(one.record.points) for one in film] == [1] * 15 + [2] * 15
    nobody = [frame._replace(boxes=frame.boxes[:0], scores=frame.scores[:0]) for frame in here]
    missed = Film(here, here[:5] + nobody[5:], 5)
    assert [len(one.record.points) for one in missed] == [1] * 30


def test_it_is_called_early_where_somebody_is_lost_or_leaves():
    frames = alone()
    gone = [frame._replace(boxes=frame.boxes[:0], points=frame.points[:0], scores=frame.scores[:0]) for frame in frames]
    film = Film(frames[:7] + gone[7:], frames[:7] + gone[7:], 5)
    list(film)
    assert film.calls[:3] == [0, 5, 8]  # looked for in vain in frame 7
    assert [len(boxes.scores) for boxes in film.boxes[6:10]] == [1, 1, 0, 0]
    out = Film(*[alone(60, speed=60.0)] * 2, 5)
    list(out)
    between = [boxes for index, boxes in enumerate(out.boxes) if index not in out.calls]
    assert all((boxes.boxes_xyxy[:, :2] < (WIDTH, HEIGHT)).all() for boxes in between)
    left = next(index for index, boxes in enumerate(out.boxes) if not len(boxes.scores))
    assert left + 1 in out.calls


def test_two_who_fall_onto_each_other_are_one():
    frames = alone()
    doubled = frames[0]._replace(boxes=np.tile(frames[0].boxes, (2, 1)), scores=np.array([0.9, 0.8]))
    film = Film(frames, [doubled, *frames[1:]], 30)
    assert [len(one.record.points) for one in film] == [1] * 30 and film.calls == [0]


def test_auto_measures_both_networks_and_says_so(caplog):
    caplog.set_level("INFO")
    film = Film(*[alone()] * 2, "auto")
    film.detect, slow = film.detect, 0.004

    def slowly(index, picture):
        import time

        time.sleep(slow)
        return Film.detect(film, index, picture)

    film.detector.detect = slowly
    list(film)
    assert "the detector looks at every" in caplog.text and film.calls[:5] == [0, 1, 2, 3, 4]
    assert film.detector.every > 1


def test_what_it_cannot_do_is_told():
    with pytest.raises(OptionError, match="detect_every is 0"):
        SparseDetector(lambda index, picture: None, 0, COCO.sigmas)
