"""What is true of an image, or predicted of it: one type for both.

Convention: bare arrays in pixels of the image. Points are (x, y) with pixel centres on integers; boxes and polygons
are edges, so pixel i reaches from i to i + 1. What a task has no use for is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.masks import Masks


class Objects(NamedTuple):
    """N things in an image: people, faces, detected objects."""

    boxes_xyxy: ndarray  # [N, 4] float64
    labels: ndarray  # [N] int64, classes of the scheme; 0 where there is one kind
    scores: ndarray | None = None  # [N], of predictions; before `finish` the scores of their boxes
    points: ndarray | None = None  # [N, K, 2] float32 (x, y)
    visible: ndarray | None = None  # [N, K] uint8, of truth: above 0 where labelled
    point_scores: ndarray | None = None  # [N, K], of predictions
    masks: Masks | None = None
    areas: ndarray | None = None  # [N] float64 square pixels, as annotated; of a prediction those of its crop
    sizes: ndarray | None = None  # [N] pixels, of truth: what PCKh and NME divide distances by
    crowd: ndarray | None = None  # [N] bool, of truth: a region with many
    ignored: ndarray | None = None  # [N] bool, of truth: finding it or not costs nothing; crowds too

    def select(self, chosen: ndarray | slice) -> Objects:
        """The objects at some positions, or where a mask [N] is true."""
        columns = (None if v is None else v.select(chosen) if isinstance(v, Masks) else v[chosen] for v in self)
        return Objects._make(columns)

    def as_prediction(self) -> Objects:
        """The best prediction that there can be: what is not ignored, with the score 1.

        A point that is not labelled goes to the middle of the others, with the score 0: it must not make two people
        look alike.
        """
        kept = self if self.ignored is None else self.select(~self.ignored)
        points = point_scores = None
        if kept.points is not None:
            if kept.areas is not None:  # OKS divides by them: nobody finds somebody of the area 0
                kept = kept.select(kept.areas > 0)
            assert kept.points is not None and kept.visible is not None, "truth has both or neither"
            labelled: ndarray = kept.visible[..., None] > 0
            middle = (kept.points * labelled).sum(axis=1, keepdims=True)
            middle = middle / np.maximum(labelled.sum(axis=1), 1)[:, None]
            points, point_scores = np.where(labelled, kept.points, middle), labelled[..., 0].astype(np.float32)
        return Objects(
            boxes_xyxy=kept.boxes_xyxy,
            labels=kept.labels,
            scores=np.ones(len(kept.labels)),
            points=points,
            point_scores=point_scores,
            masks=kept.masks,
            areas=kept.areas,
        )


class LabelMap(NamedTuple):
    """The class of every pixel."""

    label_map: ndarray  # uint8 [H, W], classes of the scheme; 255 is ignored

    def as_prediction(self) -> LabelMap:
        """The best prediction that there can be."""
        return self


class Category(NamedTuple):
    """The class of an image."""

    label: int
    class_scores: ndarray | None = None  # [C], of predictions

    def as_prediction(self) -> Category:
        """The best prediction that there can be."""
        return self


Record = Objects | LabelMap | Category


def join(records: Sequence[Record]) -> Record:
    """The records of one sample as one: what several crops showed side by side; the default `finish`.

    Args:
        records: one at least; of label maps and categories exactly one.
    """
    if len(records) == 1:
        return records[0]
    if not all(isinstance(record, Objects) for record in records):
        raise ValueError(f"{len(records)} records of one sample, of which only objects can be joined")

    def together(values: tuple) -> ndarray | Masks | None:
        if values[0] is None:
            return None
        return Masks.concatenate(values) if isinstance(values[0], Masks) else np.concatenate(values)

    return Objects._make(together(values) for values in zip(*records, strict=True))
