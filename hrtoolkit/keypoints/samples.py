"""People or faces in images, in flat arrays: what is annotated, and the windows that a top-down network looks at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import Moved
from hrtoolkit.findings import Findings
from hrtoolkit.records import Objects
from hrtoolkit.samples import BaseSamples, Crops, Images
from hrtoolkit.schemes import KeypointScheme


class People(NamedTuple):
    """N annotated people or faces, those of a sample side by side, in the order of the samples."""

    boxes_xyxy: ndarray  # [N, 4] float64
    points: ndarray  # [P, K, 2] float32 (x, y) in image pixels, of those P who have any; 0 where not labelled
    visible: ndarray  # [P, K] uint8, above 0 where labelled, 2 where seen
    has_points: ndarray | None = None  # [N] bool; None: everybody has
    areas: ndarray | None = None  # [N] float64, as annotated
    sizes: ndarray | None = None  # [N] float64 pixels, what errors are divided by
    crowd: ndarray | None = None  # [N] bool
    ignored: ndarray | None = None  # [N] bool
    labels: ndarray | None = None  # [N] int64, classes of the scheme; None: there is one kind


class KeypointSamples(BaseSamples):
    """Samples with keypoints; a subclass reads one annotation format.

    Everything lies in few arrays: loader workers share them instead of touching a million Python objects.

    Args:
        scheme: of the keypoints.
        images: of M samples.
        people: who is annotated; None where nobody says, as in the test sets of benchmarks.
        starts: [M + 1], from where to where the people of each sample stand; None: one a sample.
        findings: what is wrong with the files.
        subsets: of the samples.
    """

    moved: ClassVar[Moved] = {"layout": "scheme"}
    scheme: KeypointScheme
    subsets: Mapping[str, ndarray] = {}

    def __init__(
        self,
        *,
        scheme: KeypointScheme,
        images: Images,
        people: People | None,
        starts: ndarray | None = None,
        findings: Findings,
        subsets: Mapping[str, ndarray] | None = None,
    ):
        self.scheme = scheme
        self.images = images
        self.people = people
        self.starts = np.arange(len(images.ids) + 1) if starts is None else starts
        self.findings = findings
        self.subsets = subsets or {}
        self._point_starts = self.starts
        if people is not None and people.has_points is not None:
            self._point_starts = np.concatenate([[0], np.cumsum(people.has_points)])[self.starts]

    def truth(self, sample: int) -> Objects | None:
        people = self.people
        if people is None:
            return None
        first, end = self.starts[sample : sample + 2].tolist()
        points, visible = self._points_of(people, sample, end - first)
        columns = (None if column is None else column[first:end] for column in people[4:])
        areas, sizes, crowd, ignored, labels = columns
        return Objects(
            boxes_xyxy=people.boxes_xyxy[first:end],
            labels=np.zeros(end - first, np.int64) if labels is None else labels,
            points=points,
            visible=visible,
            areas=areas,
            sizes=sizes,
            crowd=crowd,
            ignored=ignored,
        )

    def _points_of(self, people: People, sample: int, count: int) -> tuple[ndarray, ndarray]:
        """Points [N, K, 2] and visibilities [N, K] of the people of a sample, 0 for those who have none."""
        first, end = self._point_starts[sample : sample + 2].tolist()
        points, visible = people.points[first:end], people.visible[first:end]
        if end - first == count or people.has_points is None:
            return points, visible
        start = self.starts[sample]
        rows = people.has_points[start : start + count]
        everybody = np.zeros((count, *points.shape[1:]), np.float32), np.zeros((count, points.shape[1]), np.uint8)
        everybody[0][rows], everybody[1][rows] = points, visible
        return everybody


def crops_of_samples(windows_xywh: ndarray, boxes_xyxy: ndarray) -> Crops:
    """The crops of samples that have one object each, whose window and box these are, [N, 4]."""
    count = len(windows_xywh)
    samples = np.arange(count, dtype=np.int32)
    return Crops(samples, windows_xywh, boxes_xyxy, np.ones(count, np.float32), np.zeros(count, np.int32))


def split_keypoints(keypoints: ndarray, rows: ndarray | slice = slice(None)) -> tuple[ndarray, ndarray]:
    """Take keypoints [N, K, 3] (x, y, visibility) apart: points float32 [N, K, 2], visible uint8 [N, K].

    Visible is 0 where a point is not labelled, 1 where it is, and 2 where the file says that it is seen, too. Points
    that are not labelled become 0: files may have NaN there, which no weight of zero would undo.

    Args:
        keypoints: of people.
        rows: which of the people.
    """
    flags = keypoints[..., 2][rows]
    visible = (flags > 0).astype(np.uint8) + (flags >= 2)
    points = keypoints[..., :2][rows].astype(np.float32, copy=isinstance(rows, slice))
    points[visible == 0] = 0
    return points, visible


def encode_paths(paths: Iterable[Path | str]) -> ndarray:
    """Paths as one array of byte strings."""
    return np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)


def keep(values: ndarray, chosen: ndarray) -> ndarray:
    """The chosen [N] of N values, without a copy where they are all."""
    return values if chosen.all() else values[chosen]


def square_windows(centers: ndarray, sides: Sequence[float] | ndarray) -> ndarray:
    """Windows [N, 4] (left, top, width, height) around centers [N, 2]."""
    sides = np.repeat(np.asarray(sides, np.float64)[:, None], 2, axis=1)
    return np.concatenate([centers - sides / 2, sides], axis=1)
