"""A detector that looks at some frames of a film; between them people are where their keypoints were."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.records import Objects, Record
from hrtoolkit.runtime.boxes import Boxes, Find
from hrtoolkit.runtime.oks import oks_between, oks_nms
from hrtoolkit.runtime.sources import Picture
from hrtoolkit.tracking.boxes import box_areas, box_iou, enclose
from hrtoolkit.tracking.matching import match
from hrtoolkit.tracking.oks_tracker import ENOUGH, SEEN

log = logging.getLogger(__name__)
EXPANSION = 1.25  # of what the keypoints take up, to a box
SAME = 0.8  # similarity (OKS) from which two poses are one person's
ALIKE = 0.3  # and this much is somebody a frame later
OVERLAPPING = 0.4  # from which two boxes are one person's
TRIED = 5  # frames in which "auto" measures both networks
MOST = 10  # frames between two detections that "auto" takes


class Detection(NamedTuple):
    """What a detector did in a frame."""

    every: int  # frames from one detection to the next
    boxes: Boxes | None  # that it found; None where it did not look


class SparseDetector:
    """Finds people by a detector in every Nth frame; otherwise around the keypoints of the frame before, moved on.

    The detector is also called when somebody's keypoints are lost, leave the picture, or fall onto another's, who then
    stays alone. Whom it misses is looked for all the same. Pictures have to come one by one, each after `see` of the
    last.

    Args:
        detect: the detector.
        every: N; "auto" measures both networks in the first frames and takes so many that detecting costs no more than
            the rest.
        sigmas: OKS fall-offs of the keypoints [K].

    Raises:
        OptionError: `every` is below 1.
    """

    def __init__(self, detect: Find, every: int | Literal["auto"], sigmas: Sequence[float]):
        if every != "auto" and every < 1:
            raise OptionError(f"detect_every is {every}, expected a whole number from 1 on, or 'auto'")
        self.detect, self.sigmas = detect, np.asarray(sigmas, np.float64)
        self.every = 1 if every == "auto" else every
        self._costs: list[tuple[float, float]] | None = [] if every == "auto" else None  # seconds of both networks
        self._boxes: Boxes | None = None  # that the detector found in the last frame
        self._film: str | None = None
        self._seen_at = 0.0  # seconds of the last frame

    def __call__(self, index: int, picture: Picture) -> Boxes:
        """Where to look in the next picture."""
        return self._look(picture, lambda: self.detect(index, picture))

    @property
    def detection(self) -> Detection | None:
        """What was done in the last frame; None while both networks are measured."""
        return None if self._costs is not None else Detection(self.every, self._boxes)

    def repeat(self, index: int, picture: Picture, detection: Detection) -> None:
        """Do again, without the detector, what was done in a picture by a run that was stopped; N is that of it."""
        self.every, self._costs = detection.every, None
        boxes = detection.boxes
        self._look(picture, lambda: self.detect(index, picture) if boxes is None else boxes)

    def _look(self, picture: Picture, detect: Callable[[], Boxes]) -> Boxes:
        source = picture.source
        if source.name != self._film or source.frame is None:
            self._film, self._due, self._since = source.name, True, 0
            self._people: Objects | None = None
            self._moving = np.zeros((0, 2))  # pixels a second
        self._left = False  # somebody left the picture
        self._now = 0.0 if source.time is None else source.time
        started = time.perf_counter()
        self._detected = self._due or self._since >= self.every
        self._asked = (
            Boxes(np.zeros((0, 4)), np.zeros(0, np.float32)) if self._people is None else self._look_ahead(picture)
        )
        self._boxes = detect() if self._detected else None
        if self._boxes is not None:
            self._asked = _join(self._boxes, self._asked)
        self._started = time.perf_counter()
        self._detecting = self._started - started
        return self._asked

    def see(self, record: Record) -> Objects:
        """Take what was found in that picture, and give it without those who are somebody else once more."""
        assert isinstance(record, Objects) and record.points is not None and record.scores is not None
        self._measure(time.perf_counter() - self._started)
        before = self._people
        alike = self._compare(record, record)
        kept = np.sort(oks_nms(record.scores, alike, SAME))
        people = record.select(kept)
        seen = self._seen(people)
        lost = seen.sum(axis=1) < ENOUGH  # the detector looks for them
        fallen = len(kept) < len(record.scores) and not self._detected
        self._due = self._left or fallen or bool(lost.any())
        self._since = 1 if self._detected else self._since + 1
        steps = np.zeros((len(people.boxes_xyxy), 2))
        if before is not None and len(before.boxes_xyxy):
            rows, columns = match(self._compare(before, people), ALIKE)
            assert before.points is not None and people.points is not None
            common = self._seen(before)[rows] & seen[columns]
            moved = np.where(common[..., None], people.points[columns] - before.points[rows], np.nan)
            enough = common.any(axis=1)
            steps[columns[enough]] = np.nanmedian(moved[enough], axis=1)
        elapsed = self._now - self._seen_at if before is not None else 0.0
        self._moving = (steps / elapsed if elapsed > 0 else np.zeros_like(steps))[~lost]
        self._people, self._seen_at = people.select(~lost), self._now
        return people

    def _look_ahead(self, picture: Picture) -> Boxes:
        """Boxes around the keypoints of the last frame, where they should be by now."""
        people = self._people
        assert people is not None and people.points is not None, "the first frame is looked at by the detector"
        height, width = picture.image.shape[:2]
        boxes = enclose(people.points, self._seen(people), EXPANSION).astype(np.float64)
        elapsed = max(self._now - self._seen_at, 0.0)
        boxes += np.tile(self._moving * elapsed, 2)
        inside = (boxes[:, :2] < (width, height)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1) & (box_areas(boxes) > 0)
        self._left = not inside.all()
        return Boxes(boxes[inside], self._scores_of(people)[inside])

    def _scores_of(self, people: Objects) -> ndarray:
        """The detector's scores [N]; people's own are mixed with their keypoints', and would shrink frame by frame."""
        if not len(self._asked.boxes_xyxy):
            return np.zeros(len(people.boxes_xyxy), np.float32)
        distances = np.abs(people.boxes_xyxy[:, None] - self._asked.boxes_xyxy).sum(axis=-1)
        return self._asked.scores[distances.argmin(axis=1)]

    def _seen(self, people: Objects) -> ndarray:
        assert people.point_scores is not None
        return people.point_scores >= SEEN

    def _compare(self, people: Objects, others: Objects) -> ndarray:
        """Similarities [N, M] of poses, by what is seen of both."""
        assert people.points is not None and others.points is not None
        common = self._seen(people)[:, None] & self._seen(others)
        size = np.nan_to_num(box_areas(enclose(people.points, self._seen(people))))
        other = np.nan_to_num(box_areas(enclose(others.points, self._seen(others))))
        areas = np.maximum((size[:, None] + other) / 2, 1.0)
        alike = oks_between(people.points[:, None], others.points[None], areas, self.sigmas, common)
        return np.where(common.sum(axis=-1) >= ENOUGH, alike, 0.0)

    def _measure(self, looking: float) -> None:
        if self._costs is None:
            return
        self._costs.append((self._detecting, looking))
        if len(self._costs) >= TRIED:
            detecting, looking = np.median(self._costs[1:], axis=0)  # the first times are longer
            self.every = int(min(max(math.ceil(detecting / max(looking, 1e-6)), 1), MOST))
            log.info(
                "detecting takes %.0f ms and the rest %.0f ms a frame: the detector looks at every %s",
                *(1000 * detecting, 1000 * looking, "frame" if self.every == 1 else f"{self.every} frames"),
            )
            self._costs = None


def _join(found: Boxes, expected: Boxes) -> Boxes:
    """What a detector found, and where somebody should be and it found nobody."""
    overlaps = box_iou(expected.boxes_xyxy[:, None], found.boxes_xyxy)
    missed = (overlaps < OVERLAPPING).all(axis=1)
    return Boxes._make(np.concatenate([a, b[missed]]) for a, b in zip(found, expected, strict=True))
