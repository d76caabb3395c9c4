"""What happens to the frames of a film once people have ids: sides put right, points calmed, gaps filled.

Each stage takes frames in order and gives all of them, some later than they came.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy import ndarray

from hrtoolkit.runtime.prediction import Prediction
from hrtoolkit.runtime.records import Objects
from hrtoolkit.tracking.exchanges import find_exchanges, put_right
from hrtoolkit.tracking.oks_tracker import SEEN
from hrtoolkit.tracking.smoothing import OneEuroFilter, savitzky_golay

log = logging.getLogger(__name__)
WINDOW = 7  # frames that a polynomial is fitted to
BLOCK, AFTER, BEFORE = 30, 15, 2  # frames in which exchanges are looked for together, and those around them
Kind = TypeVar("Kind", bound=Prediction)


class Frame(NamedTuple, Generic[Kind]):
    """A frame of a film."""

    prediction: Kind
    objects: Objects  # with ids; of the record that the prediction is to have
    time: float  # seconds, which run on

    def finish(self) -> Kind:
        """The prediction, with these objects."""
        return replace(self.prediction, record=self.objects)


def smooth_runs(
    frames: Iterable[Frame[Kind]], smooth: Callable[[Iterable[Frame[Kind]]], Iterator[Frame[Kind]]]
) -> Iterator[Frame[Kind]]:
    """Calm keypoints in each run of frames by itself: where frames could not be read there is a gap.

    Args:
        frames: of one film.
        smooth: `smooth_at_once` or `smooth_late`.
    """
    before, usual, run = 0, math.inf, -1

    def number_run(frame: Frame[Kind]) -> int:
        nonlocal before, usual, run
        number = frame.prediction.source.frame or 0
        step = number - before if run >= 0 else math.inf
        run += run < 0 or step > usual
        usual, before = min(usual, step), number
        return run

    for _, some in groupby(frames, key=number_run):
        yield from smooth(some)


def smooth_at_once(frames: Iterable[Frame[Kind]]) -> Iterator[Frame[Kind]]:
    """Calm keypoints by the One-Euro filter."""
    one_euro = OneEuroFilter()
    for frame in frames:
        objects = frame.objects
        assert objects.points is not None and objects.ids is not None
        heights = np.maximum(objects.boxes_xyxy[:, 3] - objects.boxes_xyxy[:, 1], 1.0)
        points = one_euro.update(objects.ids, objects.points, objects.point_scores, heights, time=frame.time)
        yield frame._replace(objects=_with_points(objects, points))


def smooth_late(frames: Iterable[Frame[Kind]]) -> Iterator[Frame[Kind]]:
    """Calm keypoints by a polynomial through those of the same people around, 6 frames late."""
    near: deque[Frame[Kind]] = deque()
    place = 0  # in it, of the next frame
    for frame in frames:
        near.append(frame)
        if len(near) - place == WINDOW:
            yield _fit(near, place)
            place += 1
        if place == WINDOW:
            near.popleft()
            place -= 1
    while place < len(near):
        yield _fit(near, place)
        place += 1


def _fit(frames: Sequence[Frame[Kind]] | deque[Frame[Kind]], place: int) -> Frame[Kind]:
    """The frame at a place, its points [N, K, 2] fitted to those of the same people in the others."""
    objects = frames[place].objects
    ids, points = objects.ids, objects.points
    assert ids is not None and points is not None
    tracks, weights = _gather(frames, ids, points.shape[1])
    times = np.array([frame.time for frame in frames])
    fitted = savitzky_golay(tracks, weights, times, WINDOW, frame=place)[0]
    return frames[place]._replace(objects=_with_points(objects, np.where((ids > 0)[:, None, None], fitted, points)))


def _gather(frames: Iterable[Frame], ids: ndarray, count: int) -> tuple[ndarray, ndarray]:
    """Points [T, N, K, 2] of people in several frames, NaN where somebody is not there, and scores [T, N, K]."""
    several = [frame.objects for frame in frames]
    points = np.full((len(several), len(ids), count, 2), np.nan)
    scores = np.zeros(points.shape[:-1])
    if not len(ids):
        return points, scores
    everybody = np.concatenate([one.ids for one in several])
    when = np.repeat(np.arange(len(several)), [len(one.labels) for one in several])
    order = np.argsort(ids)
    who = order[np.minimum(np.searchsorted(ids, everybody, sorter=order), len(ids) - 1)]
    wanted = np.flatnonzero((everybody > 0) & (ids[who] == everybody))
    places = when[wanted], who[wanted]
    points[places] = np.concatenate([one.points for one in several])[wanted]
    scores[places] = np.concatenate([one.point_scores for one in several])[wanted]
    return points, scores


def _with_points(objects: Objects, points: ndarray) -> Objects:
    """Other points in place of those that were found, which stay beside them."""
    assert objects.points is not None
    raw = objects.points if objects.raw_points is None else objects.raw_points
    return objects._replace(points=points.astype(objects.points.dtype), raw_points=raw)


def watch_sides(
    frames: Iterable[Frame[Kind]], pairs: Sequence[tuple[int, int]], fix: bool, tell: bool
) -> Iterator[Frame[Kind]]:
    """Find where left and right were exchanged, to put it right, or to say so at the end.

    What was right in the frames before stays right, and at the beginning what most frames agree on.

    Args:
        frames: of one film.
        pairs: left and right keypoints.
        fix: put them right, which needs 45 frames more.
        tell: log it.
    """
    before: deque[Frame[Kind]] = deque(maxlen=BEFORE)  # as they should be
    waiting: list[Frame[Kind]] = []
    spells = _Spells()
    name, scheme = "", None
    for frame in frames:
        name, scheme = frame.prediction.source.name, frame.prediction.scheme
        if not fix:
            yield frame
        waiting.append(frame if fix else _without_image(frame))
        if len(waiting) == BLOCK + AFTER:
            right = _put_right(before, waiting, BLOCK, pairs, spells)
            yield from right if fix else ()
            before.extend(map(_without_image, right))
            waiting = waiting[BLOCK:]
    right = _put_right(before, waiting, len(waiting), pairs, spells)
    yield from right if fix else ()
    if tell and scheme is not None:
        spells.tell(name, [(scheme.names[a], scheme.names[b]) for a, b in pairs], fix)


def _without_image(frame: Frame[Kind]) -> Frame[Kind]:
    """The same, to be kept for long."""
    return frame._replace(prediction=replace(frame.prediction, image=np.zeros((1, 1, 3), np.uint8)))


class _Spells:
    """Times in which left and right were exchanged."""

    def __init__(self) -> None:
        self.count = 0
        self.first = 0, 0, 0, 0  # id, pair, first and last frame of the first time
        self._last: dict[tuple[int, int], int] = {}  # the frame in which a pair of somebody was exchanged last

    def add(self, number: int, pair: int, frame: int) -> None:
        """Take note of a pair of somebody in a frame."""
        if self._last.get((number, pair)) != frame - 1:
            self.count += 1
            if self.count == 1:
                self.first = number, pair, frame, frame
        elif self.first[:2] == (number, pair) and self.first[3] == frame - 1:
            self.first = (*self.first[:3], frame)
        self._last[number, pair] = frame

    def tell(self, name: str, pairs: Sequence[tuple[str, str]], fixed: bool) -> None:
        """Say what there was."""
        if not self.count:
            return
        who, pair, first, last = self.first
        frames = f"frame {first}" if first == last else f"frames {first} to {last}"
        times = "once" if self.count == 1 else f"{self.count} times"
        done = "were exchanged and are put right" if fixed else "seem exchanged"
        # From the side, limbs that pass each other look like it too.
        log.info(
            "%s: left and right %s %s, at first %s and %s of #%d in %s%s",
            *(name, done, times, *pairs[pair], who, frames),
            ""
            if fixed
            else " (fix_sides, --fix-sides puts them right, but limbs that pass each other may look like it)",
        )


def _put_right(
    before: Iterable[Frame[Kind]],
    waiting: Sequence[Frame[Kind]],
    count: int,
    pairs: Sequence[tuple[int, int]],
    spells: _Spells,
) -> list[Frame[Kind]]:
    """The first `count` of the frames that wait, with sides as they should be."""
    right = list(waiting[:count])
    frames = [*before, *waiting]
    skipped = len(frames) - len(waiting)
    everybody = [frame.objects.ids for frame in right if frame.objects.ids is not None]
    ids = np.unique(np.concatenate(everybody)) if everybody else np.zeros(0, np.int64)
    ids = ids[ids > 0]
    points = right[0].objects.points if right else None
    if not len(ids) or points is None:
        return right
    tracks, scores = _gather(frames, ids, points.shape[1])
    tracks = np.where((scores >= SEEN)[..., None], tracks, np.nan)
    exchanged = find_exchanges(tracks, pairs, known=skipped)[skipped : skipped + count]  # [count, N, P]
    for place, person in np.argwhere(exchanged.any(axis=2)).tolist():
        number, some = int(ids[person]), exchanged[place, person]
        right[place] = _exchange(right[place], number, some[None], pairs)
        for pair in np.flatnonzero(some).tolist():
            spells.add(number, pair, right[place].prediction.source.frame or 0)
    return right


def _exchange(frame: Frame[Kind], number: int, exchanged: ndarray, pairs: Sequence[tuple[int, int]]) -> Frame[Kind]:
    """The frame with pairs [1, P] of somebody exchanged."""
    objects = frame.objects
    assert objects.ids is not None and objects.points is not None and objects.point_scores is not None
    row = np.flatnonzero(objects.ids == number)
    points, scores = objects.points.copy(), objects.point_scores.copy()
    points[row] = put_right(points[row], exchanged, pairs)
    scores[row] = put_right(scores[row], exchanged, pairs)
    return frame._replace(objects=_with_points(objects, points)._replace(point_scores=scores))


def fill_gaps(frames: Iterable[Frame[Kind]], seconds: float) -> Iterator[Frame[Kind]]:
    """Put people where they must have been in frames in which they were not found, and mark them as filled.

    Args:
        frames: of one film.
        seconds: the longest gap; frames come so much later.
    """
    waiting: deque[Frame[Kind]] = deque()
    last: dict[int, tuple[float, Objects]] = {}  # when and how somebody was seen last
    for frame in frames:
        waiting.append(frame)
        while frame.time - waiting[0].time > seconds:
            yield _fill(waiting, last, seconds)
    while waiting:
        yield _fill(waiting, last, seconds)


def _fill(waiting: deque[Frame[Kind]], last: dict[int, tuple[float, Objects]], seconds: float) -> Frame[Kind]:
    """The next frame, with who is missing in it and was there before and is again after it."""
    frame = waiting.popleft()
    objects = frame.objects
    assert objects.ids is not None
    here = set(objects.ids.tolist())
    added = []
    for number, (time, before) in list(last.items()):
        if number in here:
            continue
        if frame.time - time > seconds:
            del last[number]
            continue
        for later in waiting:
            if later.time - time > seconds:
                break
            places = np.flatnonzero(later.objects.ids == number)
            if len(places):
                share = (frame.time - time) / (later.time - time)
                added.append(_between(before, later.objects.select(places), share))
                break
    for place, number in enumerate(objects.ids.tolist()):
        if number > 0:
            last[number] = frame.time, objects.select(slice(place, place + 1))
    filled = np.zeros(len(objects.ids), bool)
    objects = objects._replace(filled=filled)
    return frame._replace(objects=_join([objects, *added]) if added else objects)


def _between(before: Objects, after: Objects, share: float) -> Objects:
    """Somebody a share of the way from one frame to another."""

    def mix(a: ndarray, b: ndarray) -> ndarray:
        return (a + share * (b - a)).astype(a.dtype)

    def lesser(a: ndarray | None, b: ndarray | None) -> ndarray | None:
        return None if a is None or b is None else np.minimum(a, b)

    return before._replace(
        boxes_xyxy=mix(before.boxes_xyxy, after.boxes_xyxy),
        scores=lesser(before.scores, after.scores),
        points=None if before.points is None or after.points is None else mix(before.points, after.points),
        point_scores=lesser(before.point_scores, after.point_scores),
        areas=None if before.areas is None or after.areas is None else mix(before.areas, after.areas),
        raw_points=None if before.raw_points is None else np.full_like(before.raw_points, np.nan),
        filled=np.ones(1, bool),
    )


def _join(several: Sequence[Objects]) -> Objects:
    columns = zip(*several, strict=True)
    return type(several[0])._make(None if values[0] is None else np.concatenate(values) for values in columns)
