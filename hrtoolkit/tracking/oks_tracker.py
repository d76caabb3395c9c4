"""Who is who from frame to frame, by the similarity of poses where they are, of boxes where not.

A track is moved on by its last speed, and by what moved all alike, which is the camera, and compared with who is found
(Xiao et al., ECCV 2018, compare with poses moved by optical flow). Pairs are made in two rounds, as in ByteTrack (Zhang
et al., ECCV 2022). All times are seconds, so that frames may be missing or come at any rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.ranges import Count, NotNegative, Share
from hrtoolkit.runtime.oks import oks_between
from hrtoolkit.tracking.boxes import box_areas, box_iou, enclose
from hrtoolkit.tracking.clock import Clock
from hrtoolkit.tracking.matching import match

NO_ID = -1
SEEN = 0.3  # score from which a keypoint says where somebody is
ENOUGH = 3  # keypoints seen in both frames: fewer do not say how people overlap, and boxes do
LEAST_SIZE = 32.0  # pixels, of somebody whose box has no area
DRIFT = 0.3  # sizes of a person a second by which predicted positions are wrong
MOST_DRIFT = 0.6  # sizes
SETTLING = 0.1  # seconds over which speeds are averaged
COASTING = 2.0  # seconds after which who is lost is thought to have stopped
REACH = 2.0  # sizes of a person: who is farther away is not compared
LATER = 2 / 3  # of the least similarity is enough in the second round
ROUGH = 1 / 6  # and this much to see how the camera moved
SEVERAL = 3  # people who move alike: it was the camera
SHAKEN = 0.05  # sizes of a person: a camera that moved less is not looked at again
LOOKS = 3  # at most
SURE = 0.8  # score that counts in full
SAME = 0.9  # similarity in one frame from which somebody was found twice


class _People(NamedTuple):
    """N people of a frame, or where tracks were seen last."""

    points: ndarray  # [N, K, 2], 0 where not seen
    seen: ndarray  # [N, K] bool
    boxes: ndarray  # [N, 4], NaN of who is nowhere
    areas: ndarray  # [N] square pixels, 0 where nobody knows

    def select(self, chosen: ndarray) -> _People:
        return _People(self.points[chosen], self.seen[chosen], self.boxes[chosen], self.areas[chosen])

    def move(self, steps: ndarray) -> _People:
        """Everybody at another place, by steps [N, 2] in pixels, or by the same [1, 2]."""
        steps = steps[:, None]
        boxes = (self.boxes.reshape(-1, 2, 2) + steps).reshape(-1, 4)
        return _People(self.points + steps, self.seen, boxes, self.areas)


class _Tracks(NamedTuple):
    """T people who are followed."""

    people: _People
    numbers: ndarray  # [T], in the order of their beginnings
    ids: ndarray  # [T], -1 where none is given yet
    speeds: ndarray  # [T, 2] pixels a second, 0 of who was seen once
    times: ndarray  # [T] seconds, when they were seen last
    sightings: ndarray  # [T]
    strong: ndarray  # [T] bool: whether one of these had a high score
    active: ndarray  # [T] bool: whether it was in the last frame

    def select(self, chosen: ndarray) -> _Tracks:
        return _Tracks._make(one.select(chosen) if isinstance(one, _People) else one[chosen] for one in self)


class OksTracker:
    """Gives everybody in a video an id, frame by frame; ids count from 1 and none is given twice.

    The first round pairs who was in the last frame with who has a high score. The second pairs the rest, and who was
    lost up to `keep` seconds ago. Who is left begins a track: its id comes at once where the score is high, otherwise
    with the second sighting in a row.

    Args:
        sigmas: OKS fall-offs of the keypoints [K], of `hrtoolkit.schemes.people.with_sigmas` where a scheme states
            none; nothing where only boxes are followed.
        keep: seconds that somebody lost is waited for.
        least: similarity of a pair, of poses (OKS) or boxes (intersection over union).
        high: score from which it is high.
        seen: score from which a keypoint counts as seen.
        confirm: sightings in a row before an id is given, one more where none has a high score. `named` says who had
            it in frames before.

    Raises:
        OptionError: an option is out of its range.
    """

    def __init__(
        self,
        sigmas: Sequence[float] = (),
        *,
        keep: NotNegative = 1.0,
        least: Share = 0.3,
        high: Share = 0.5,
        seen: Share = SEEN,
        confirm: Count = 1,
    ):
        options = (("keep", keep, np.inf), ("least", least, 1), ("high", high, 1), ("seen", seen, 1))
        for name, value, most in options:
            if not 0 <= value <= most:
                raise OptionError(f"{name} is {value}, expected a number from 0 {'on' if most > 1 else 'to 1'}")
        if confirm < 1:
            raise OptionError(f"confirm is {confirm}, expected a whole number from 1 on")
        self.sigmas = np.asarray(sigmas, np.float64)
        self.keep, self.least, self.high, self.seen, self.confirm = keep, least, high, seen, confirm
        self.named: dict[int, list[tuple[int, int]]] = {}
        self.reset()

    def reset(self) -> None:
        """Begin another video: nobody is known, and ids count from 1."""
        nobody = self._read(np.zeros((0, 4)), None, None)
        self._tracks = self._begin(nobody, np.zeros(0, dtype=bool), 0.0, 0)
        self._clock = Clock()
        self.frames = self._begun = self._given = 0
        self._waiting: dict[int, list[tuple[int, int]]] = {}  # where tracks without an id were seen
        self.named = {}

    def update(
        self,
        boxes_xyxy: ndarray,
        scores: ndarray,
        points: ndarray | None = None,
        point_scores: ndarray | None = None,
        *,
        time: float,
    ) -> ndarray:
        """Say who is who in the next frame. Afterwards `named` has the ids that were given to who was seen before.

        A time that stands still or runs backwards is taken as one usual step, and the log says so once.

        Args:
            boxes_xyxy: [N, 4] in pixels of the image.
            scores: [N].
            points: [N, K, 2] in pixels of the image; None where boxes alone are followed.
            point_scores: [N, K]; None where all are seen.
            time: seconds.

        Returns:
            ids [N]; -1 of who has none yet, who was found twice in this frame, and who is nowhere because box and
            points are not finite.

        Raises:
            OptionError: there are other keypoints than `sigmas`.
        """
        found = self._read(boxes_xyxy, points, point_scores)
        scores = np.where(np.isnan(scores), 0.0, scores)
        strong = scores >= self.high
        self._clock.advance(time)
        self.named = {}
        tracks = self._tracks
        waited_for = (tracks.ids != NO_ID) & (self._clock.now - tracks.times <= self.keep)
        tracks = tracks.select(tracks.active | waited_for)
        rows, columns, camera = self._pair(tracks, found, scores)
        tracks = self._continue(tracks, found, rows, columns, strong, camera)
        new = self._choose_new(found, columns, scores)
        places = np.concatenate([columns, new])  # of those seen, in the order of `seen` below
        seen = np.concatenate([rows, len(tracks.ids) + np.arange(len(new))])
        if len(new):
            tracks = _join(tracks, self._begin(found.select(new), strong[new], self._clock.now, self._begun))
            self._begun += len(new)
        self._tracks = tracks
        self._name(seen, places)
        ids = np.full(len(found.boxes), NO_ID)
        ids[places] = self._tracks.ids[seen]
        self.frames += 1
        return ids

    def _read(self, boxes_xyxy: ndarray, points: ndarray | None, point_scores: ndarray | None) -> _People:
        boxes = np.array(boxes_xyxy, np.float64).reshape(-1, 4)
        if points is None:
            points = np.zeros((len(boxes), len(self.sigmas), 2))
            seen = np.zeros(points.shape[:2], dtype=bool)
        else:
            if points.shape[1] != len(self.sigmas):
                raise OptionError(
                    f"the tracker was built with {len(self.sigmas)} sigmas for {points.shape[1]} keypoints"
                )
            finite = np.isfinite(points)
            seen = finite[..., 0] & finite[..., 1]
            if point_scores is not None:
                seen &= np.asarray(point_scores) >= self.seen
            points = np.where(seen[..., None], points, 0.0)
        lacking = ~(np.isfinite(boxes).all(axis=1) & (box_areas(boxes) > 0))
        if lacking.any():
            extents = enclose(points[lacking], seen[lacking])
            boxes[lacking] = np.where(np.isnan(extents), boxes[lacking], extents)
        return _People(points, seen, boxes, box_areas(boxes))

    def _pair(self, tracks: _Tracks, found: _People, scores: ndarray) -> tuple[ndarray, ndarray, ndarray]:
        """Rows of tracks and of the people found who are the same, and how far the camera moved everybody [1, 2]."""
        since = self._clock.now - tracks.times
        coasted = COASTING * (1 - np.exp(-since / COASTING))
        expected = tracks.people.move(tracks.speeds * coasted[:, None])
        eligible = tracks.active[:, None] & (scores >= self.high)
        drift = np.minimum(DRIFT * since, MOST_DRIFT)
        camera = np.zeros((1, 2))
        for _ in range(LOOKS):
            similarities, overlaps = self._compare(expected.move(camera), found, drift)
            first = np.where(eligible, similarities, 0.0)
            rows, columns = match(first, ROUGH * self.least)
            settled = tracks.sightings[rows] > 2
            if settled.sum() < SEVERAL:
                break
            steps = _measure_steps(expected.select(rows), found.select(columns))
            before, camera = camera, _median(steps[settled])[None]
            if np.abs(camera - before).max() ** 2 < SHAKEN**2 * _median(found.areas[columns]):
                break
        rows, columns = match(first, self.least)
        # Who moves fast, or bows, is at least where the box is. False people have low scores.
        second = np.maximum(similarities, overlaps) * np.minimum(1.0, scores / SURE)
        second[rows] = 0.0
        second[:, columns] = 0.0
        more_rows, more_columns = match(second, LATER * self.least)
        return np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns]), camera

    def _compare(self, people: _People, others: _People, drift: ndarray) -> tuple[ndarray, ndarray]:
        """Similarities [N, M], of poses or boxes, and overlaps of boxes alone [N, M].

        Args:
            people: N.
            others: M.
            drift: [N], shares of their sizes by which the first may be elsewhere.
        """
        similarities, overlaps = np.zeros((2, len(people.boxes), len(others.boxes)))
        # Most people are far from each other: only the rest is computed.
        sizes, other_sizes = (np.sqrt(np.where(some.areas > 0, some.areas, LEAST_SIZE**2)) for some in (people, others))
        centers, other_centers = (some.boxes[:, :2] + some.boxes[:, 2:] for some in (people, others))
        distances = np.abs(centers[:, None] - other_centers)
        reach = REACH * (1 + drift)[:, None] * (sizes[:, None] + other_sizes)
        a, b = np.nonzero(np.maximum(distances[..., 0], distances[..., 1]) < reach)
        if not len(a):
            return similarities, overlaps
        drift, scale = drift[a], (sizes[a] + other_sizes[b]) / 2
        margins = (drift * scale)[:, None] * (-1, -1, 1, 1)
        boxes, other_boxes = people.boxes[a], others.boxes[b]
        overlaps[a, b] = box_iou(boxes + margins, other_boxes + margins)
        common = people.seen[a] & others.seen[b]  # [P, K]
        areas = (sizes[a] ** 2 + other_sizes[b] ** 2) / 2
        sigmas = np.sqrt(self.sigmas**2 + (drift[:, None] / 2) ** 2)
        poses = oks_between(people.points[a], others.points[b], areas, sigmas, common)
        decisive = (common.sum(axis=1) >= ENOUGH) | (people.areas[a] == 0) | (others.areas[b] == 0)
        similarities[a, b] = np.where(decisive, poses, overlaps[a, b])
        return similarities, overlaps

    def _continue(
        self,
        tracks: _Tracks,
        found: _People,
        rows: ndarray,
        columns: ndarray,
        strong: ndarray,
        camera: ndarray,
    ) -> _Tracks:
        """Tracks with what was found of them; who was not found moves with the camera."""
        before, now = tracks.people.select(rows), found.select(columns)
        since = (self._clock.now - tracks.times[rows])[:, None]
        speeds = (_measure_steps(before, now) - camera) / since
        weights = np.where(tracks.sightings[rows, None] == 1, 1.0, 1 - np.exp(-since / SETTLING))
        people = _People._make(column.copy() for column in tracks.people.move(camera))
        for column, new in zip(people, now, strict=True):
            column[rows] = new
        active = np.zeros(len(tracks.ids), dtype=bool)
        active[rows] = True
        updated = tracks._replace(
            people=people,
            speeds=tracks.speeds.copy(),
            times=tracks.times.copy(),
            sightings=np.where(active, tracks.sightings + 1, tracks.sightings),
            strong=tracks.strong.copy(),
            active=active,
        )
        updated.speeds[rows] += weights * (speeds - tracks.speeds[rows])
        updated.times[rows] = self._clock.now
        updated.strong[rows] |= strong[columns]
        return updated

    def _choose_new(self, found: _People, known: ndarray, scores: ndarray) -> ndarray:
        """Places of people who begin a track, the best first whatever their order; who was found twice does not."""
        fresh = np.isfinite(found.boxes).all(axis=1)
        fresh[known] = False
        if not fresh.any():
            return np.zeros(0, np.int64)
        order = np.lexsort((*found.boxes.T, -scores, fresh))  # who is known comes first
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        new = order[fresh[order]]
        alike, _ = self._compare(found.select(new), found, np.zeros(len(new)))
        return new[~((alike >= SAME) & (rank < rank[new, None])).any(axis=1)]

    def _begin(self, people: _People, strong: ndarray, time: float, first: int) -> _Tracks:
        """Tracks of people who are seen for the first time, numbered from `first` on."""
        count = len(people.boxes)
        return _Tracks(
            people=people,
            numbers=first + np.arange(count),
            ids=np.full(count, NO_ID),
            speeds=np.zeros((count, 2)),
            times=np.full(count, time),
            sightings=np.ones(count, np.int64),
            strong=strong,
            active=np.ones(count, dtype=bool),
        )

    def _name(self, seen: ndarray, places: ndarray) -> None:
        """Give ids to tracks [M] that have been seen often enough, and remember where the others were.

        Args:
            seen: rows of the tracks in this frame [M].
            places: where in the frame they are [M].
        """
        tracks = self._tracks
        nameless = tracks.ids[seen] == NO_ID
        for row, place in sorted(zip(seen[nameless].tolist(), places[nameless].tolist(), strict=True)):
            number = int(tracks.numbers[row])
            if tracks.sightings[row] >= self.confirm + (not tracks.strong[row]):
                self._given += 1
                tracks.ids[row] = self._given
                earlier = self._waiting.pop(number, [])
                if earlier:
                    self.named[self._given] = earlier
            else:
                self._waiting.setdefault(number, []).append((self.frames, place))
        if self._waiting:  # who has no id is not waited for
            followed = set(tracks.numbers[tracks.active].tolist())
            self._waiting = {number: where for number, where in self._waiting.items() if number in followed}


def _measure_steps(before: _People, now: _People) -> ndarray:
    """How far people went [N, 2]: the median of what is seen twice, the middle of the box where that is too little."""
    common = before.seen & now.seen
    counts = common.sum(axis=1)
    steps = (now.boxes[:, :2] + now.boxes[:, 2:] - before.boxes[:, :2] - before.boxes[:, 2:]) / 2
    enough = np.flatnonzero(counts >= ENOUGH)
    if len(enough):
        moved = np.where(common[..., None], now.points - before.points, np.inf)[enough]
        ordered = np.sort(moved.transpose(0, 2, 1), axis=2)  # [N, 2, K]
        low, high = (counts[enough] - 1) // 2, counts[enough] // 2
        place = np.arange(len(enough))
        steps[enough] = (ordered[place, :, low] + ordered[place, :, high]) / 2
    return steps


def _median(values: ndarray) -> ndarray:
    """The median [...] of [N, ...]; NumPy's own takes many times as long for a few."""
    ordered = np.sort(values, axis=0)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _join(tracks: _Tracks, others: _Tracks) -> _Tracks:
    def together(some: tuple, more: tuple) -> list[ndarray]:
        return [np.concatenate(pair) for pair in zip(some, more, strict=True)]

    return _Tracks(_People._make(together(tracks.people, others.people)), *together(tracks[1:], others[1:]))
