"""What is true of an image, or predicted of it, see `hrtoolkit.runtime.records`; and truth taken for a prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from hrtoolkit.masks import Masks
from hrtoolkit.runtime import records


class Objects(records.Objects):
    """N things in an image: people, faces, detected objects."""

    __slots__ = ()

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
            ids=kept.ids,
        )


class LabelMap(records.LabelMap):
    """The class of every pixel."""

    __slots__ = ()

    def as_prediction(self) -> LabelMap:
        """The best prediction that there can be."""
        return self


class ValueMap(records.ValueMap):
    """Numbers of every pixel."""

    __slots__ = ()

    def as_prediction(self) -> ValueMap:
        """The best prediction that there can be."""
        return self


class Category(records.Category):
    """The class of an image."""

    __slots__ = ()

    def as_prediction(self) -> Category:
        """The best prediction that there can be."""
        return self


Record = Objects | LabelMap | ValueMap | Category


def join(several: Sequence[Record]) -> Record:
    """The records of one sample as one: what several crops showed side by side; the default `finish`.

    Args:
        several: one at least; of maps and categories exactly one.
    """
    if len(several) == 1:
        return several[0]
    if not all(isinstance(record, Objects) for record in several):
        raise ValueError(f"{len(several)} records of one sample, of which only objects can be joined")

    def together(values: tuple) -> ndarray | Masks | None:
        if values[0] is None:
            return None
        return Masks.concatenate(values) if isinstance(values[0], Masks) else np.concatenate(values)

    return Objects._make(together(values) for values in zip(*several, strict=True))
