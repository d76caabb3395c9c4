"""Who is who in what a predictor finds: a stage between its predictions and whoever takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar, get_args

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.ranges import Count, NotNegative
from hrtoolkit.runtime.prediction import Prediction
from hrtoolkit.runtime.records import Objects
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import with_sigmas
from hrtoolkit.tracking.box_trackers import CLASSES, BoxMethod, BoxTracker
from hrtoolkit.tracking.clock import USUAL_STEP, Clock
from hrtoolkit.tracking.oks_tracker import OksTracker
from hrtoolkit.tracking.smoothing import OneEuroFilter, savitzky_golay

Method = Literal["oks"] | BoxMethod
Smooth = Literal["none", "one-euro", "savgol"]
WINDOW = 7  # frames that a polynomial is fitted to
Kind = TypeVar("Kind", bound=Prediction)


@dataclass
class _Frame(Generic[Kind]):
    """A prediction that may still change."""

    prediction: Kind
    objects: Objects
    time: float = 0.0  # seconds, which run on


class Tracker:
    """Gives everybody whom a predictor finds in a video an id: `for one in tracker(predictor("film.mp4"))`.

    Ids count from 1 in every video and are in `record.ids`. It works while predictions come, some frames late: an id
    also goes to the frames before in which somebody was seen already, and a polynomial needs the frames after.

    Args:
        method: "oks" compares poses, and boxes where there are none; "sort", "bytetrack", "ocsort", "botsort" and
            "cbiou" are those of the package `trackers`, which see boxes alone and give no id afterwards.
        keep: seconds that somebody lost is waited for.
        confirm: frames in a row that somebody is found before there is an id; higher keeps out who is there for a
            moment.
        smooth: of keypoints: "none"; "one-euro", which is for cameras; or "savgol", a polynomial of second order
            through 7 frames, which has no lag and is for films. What was found stays beside it as `record.raw_points`.

    Raises:
        OptionError: an option is out of its range.
        UserError: `trackers` is needed and not installed.
    """

    def __init__(
        self,
        method: Method = "oks",
        *,
        keep: NotNegative = 1.0,
        confirm: Count = 1,
        smooth: Smooth = "none",
    ):
        if method != "oks" and method not in CLASSES:
            raise OptionError(f"method is {method!r}, expected oks, {', '.join(CLASSES)}")
        if smooth not in get_args(Smooth):
            raise OptionError(f"smooth is {smooth!r}, expected {', '.join(get_args(Smooth))}")
        self.method, self.keep, self.confirm, self.smooth = method, keep, confirm, smooth
        self._track = self._build(())

    @property
    def settings(self) -> dict[str, object]:
        """What ids and points depend on, in plain values."""
        return {"method": self.method, "keep": self.keep, "confirm": self.confirm, "smooth": self.smooth}

    def __call__(self, predictions: Iterable[Kind]) -> Iterator[Kind]:
        """Predictions in their order, with ids; where another video begins, so do the ids.

        Args:
            predictions: of the frames of videos, each in its order.

        Raises:
            OptionError: there are no people or objects in them, or they are pictures and no frames.
        """
        name: str | None = None
        waiting: deque[_Frame[Kind]] = deque()  # the last frames, those that are done first
        done = 0  # of them
        for prediction in predictions:
            if prediction.source.name != name:
                yield from self._end(waiting, done)
                name, done = prediction.source.name, 0
                waiting.clear()
                self._begin(prediction)
            assert isinstance(prediction.record, Objects), "one model gives records of one kind"
            waiting.append(_Frame(prediction, prediction.record))
            self._identify(waiting)
            if len(waiting) - done > self._late:
                yield self._finish(waiting, done)
                done += 1
            if done >= WINDOW:
                waiting.popleft()
                done -= 1
        yield from self._end(waiting, done)

    def _begin(self, prediction: Prediction) -> None:
        """Begin another video."""
        record, source, scheme = prediction.record, prediction.source, prediction.scheme
        if not isinstance(record, Objects):
            raise OptionError(f"{source.name}: ids are for people and objects, and this model gives {_kind_of(record)}")
        if source.frame is None:
            raise OptionError(
                f"{source.name}: a picture by itself, where ids are for frames; where a folder's pictures are those of "
                "a film, say how many there are a second (frame_rate=30, on the command line --fps 30)"
            )
        sigmas = with_sigmas(scheme).sigmas if isinstance(scheme, KeypointScheme) else ()
        self._track, self._clock = self._build(sigmas), Clock()
        self._one_euro = OneEuroFilter()
        self._smooth = self.smooth if record.points is not None else "none"
        # Somebody with a low score needs a sighting more.
        self._late = max(self.confirm, WINDOW - 1 if self._smooth == "savgol" else 0)

    def _build(self, sigmas: Sequence[float]) -> OksTracker | BoxTracker:
        if self.method == "oks":
            return OksTracker(sigmas, keep=self.keep, confirm=self.confirm)
        return BoxTracker(self.method, keep=self.keep, confirm=self.confirm)

    def _identify(self, waiting: deque[_Frame[Kind]]) -> None:
        """Give ids to who is in the last frame, and to who was in those before and has got one now."""
        frame = waiting[-1]
        found, source = frame.objects, frame.prediction.source
        assert found.scores is not None, "predictions have scores"
        stated = source.time if source.time is not None else (source.frame or 0) * USUAL_STEP  # pages have none
        frame.time = self._clock.advance(stated)
        things = found.boxes_xyxy, found.scores, found.points, found.point_scores
        if isinstance(self._track, BoxTracker):
            ids = self._track.update(*things, time=frame.time, image=frame.prediction.image)
        else:
            ids = self._track.update(*things, time=frame.time)
        frame.objects = found._replace(ids=ids)
        for number, places in self._track.named.items():
            for since, place in places:
                earlier = waiting[since - self._track.frames].objects.ids
                assert earlier is not None
                earlier[place] = number

    def _finish(self, waiting: deque[_Frame[Kind]], place: int) -> Kind:
        """A prediction with all that is known of its frame."""
        frame = waiting[place]
        objects = frame.objects
        points, scores, ids = objects.points, objects.point_scores, objects.ids
        if self._smooth != "none" and points is not None and ids is not None:
            if self._smooth == "one-euro":
                heights = np.maximum(objects.boxes_xyxy[:, 3] - objects.boxes_xyxy[:, 1], 1.0)
                smoothed = self._one_euro.update(ids, points, scores, heights, time=frame.time)
            else:
                smoothed = _smooth_late(waiting, place)
            objects = objects._replace(points=smoothed.astype(points.dtype), raw_points=points)
        return replace(frame.prediction, record=objects)

    def _end(self, waiting: deque[_Frame[Kind]], done: int) -> Iterator[Kind]:
        for place in range(done, len(waiting)):
            yield self._finish(waiting, place)


def _smooth_late(frames: deque[_Frame[Kind]], place: int) -> ndarray:
    """Points [N, K, 2] of a frame, fitted to those of the same people in the frames around it."""
    first = max(0, place - WINDOW + 1)
    near = [frames[index] for index in range(first, min(len(frames), place + WINDOW))]
    ids, points = frames[place].objects.ids, frames[place].objects.points
    assert ids is not None and points is not None
    tracks = np.full((len(near), *points.shape), np.nan)
    weights = np.zeros(tracks.shape[:3])
    for row, frame in enumerate(near):
        others = frame.objects
        assert others.ids is not None and others.points is not None and others.point_scores is not None
        who, where = np.nonzero((ids[:, None] == others.ids) & (ids[:, None] > 0))
        tracks[row, who], weights[row, who] = others.points[where], others.point_scores[where]
    times = np.array([frame.time for frame in near])
    fitted = savitzky_golay(tracks, weights, times, WINDOW, frame=place - first)[0]
    return np.where((ids > 0)[:, None, None], fitted, points)


def _kind_of(record: object) -> str:
    kinds = {"LabelMap": "the class of every pixel", "ValueMap": "numbers of every pixel", "Category": "a class"}
    return kinds.get(type(record).__name__, type(record).__name__)
