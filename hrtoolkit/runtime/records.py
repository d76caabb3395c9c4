"""What is true of an image, or found in it: one type for both.

Convention: bare arrays in pixels of the image. Points are (x, y) with pixel centres on integers; boxes and polygons
are edges, so pixel i reaches from i to i + 1. What a task has no use for is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy import ndarray

from .masks import Masks

Kind = TypeVar("Kind", bound="Objects")  # hrtoolkit has its own


class Objects(NamedTuple):
    """N things in an image: people, faces, detected objects."""

    boxes_xyxy: ndarray  # [N, 4] float64
    labels: ndarray  # [N] int64, classes of the scheme; 0 where there is one kind
    scores: ndarray | None = None  # [N], of predictions; before `finish` the scores of their boxes
    points: ndarray | None = None  # [N, K, 2] float32 (x, y)
    visible: ndarray | None = None  # [N, K] uint8, of truth: above 0 where labelled, 2 where said to be seen
    point_scores: ndarray | None = None  # [N, K], of predictions
    masks: Masks | None = None
    areas: ndarray | None = None  # [N] float64 square pixels, as annotated; of a prediction those of its crop
    sizes: ndarray | None = None  # [N] pixels, of truth: what PCKh and NME divide distances by
    crowd: ndarray | None = None  # [N] bool, of truth: a region with many
    ignored: ndarray | None = None  # [N] bool, of truth: finding it or not costs nothing; crowds too
    ids: ndarray | None = None  # [N] int64 from 1, who it is through a video; -1 where nobody knows
    raw_points: ndarray | None = None  # [N, K, 2] float32, of predictions: as found, where points were changed since
    filled: ndarray | None = None  # [N] bool, of predictions: was not found, and is told by the frames around

    def select(self: Kind, chosen: ndarray | slice) -> Kind:
        """The objects at some positions, or where a mask [N] is true."""
        columns = (None if v is None else v.select(chosen) if isinstance(v, Masks) else v[chosen] for v in self)
        return type(self)._make(columns)


class LabelMap(NamedTuple):
    """The class of every pixel."""

    label_map: ndarray  # uint8 [H, W], classes of the scheme; 255 is ignored


class ValueMap(NamedTuple):
    """Numbers of every pixel, such as its depth or its surface normal."""

    values: ndarray  # float32 [C, H, W], in the order of the scheme; of truth NaN where nothing is known


class Category(NamedTuple):
    """The class of an image."""

    label: int
    class_scores: ndarray | None = None  # [C], of predictions


Record = Objects | LabelMap | ValueMap | Category


def join(records: Sequence[Any]) -> Record:
    """The records of one picture as one: what several crops showed side by side."""
    if len(records) == 1:
        return records[0]
    columns = zip(*records, strict=True)
    return Objects._make(None if values[0] is None else np.concatenate(values) for values in columns)


def nobody(points: int) -> Objects:
    """The people of a picture in which nobody was looked for."""
    return Objects(
        boxes_xyxy=np.zeros((0, 4)),
        labels=np.zeros(0, np.int64),
        scores=np.zeros(0, np.float32),
        points=np.zeros((0, points, 2), np.float32),
        point_scores=np.zeros((0, points), np.float32),
    )
