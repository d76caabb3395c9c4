"""What was found in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy import ndarray

from .drawing import draw
from .records import Category, LabelMap, Objects, Record, ValueMap
from .sources import Source

MOST_CATEGORIES = 5  # classes of an image that `to_dict` lists, best first


class ObjectDict(TypedDict, total=False):
    """An object as json can hold it; `id`, `label`, keypoints and `mask` where there are such."""

    score: float
    box_xyxy: list[float]
    id: int
    label: str
    keypoints: dict[str, list[float]]  # x, y and score by name; 0, 0, 0 of who is nowhere (not finite)
    raw_keypoints: dict[str, list[float]]  # x and y by name, before they were smoothed
    filled: bool  # true where it was not found, and is told by the frames around
    mask: dict[str, list[int] | str]  # COCO's run lengths


class PredictionDict(TypedDict, total=False):
    """A prediction as json can hold it: of `pixels`, `values`, `classes` and `objects` it has one."""

    source: str
    width: int
    height: int
    frame: int
    time: float
    pixels: dict[str, int]  # of each class in a label map
    values: dict[str, dict[str, float]]  # of each number in a map its "min", "median" and "max"
    classes: dict[str, float]  # scores of the best ones
    objects: list[ObjectDict]


@dataclass(frozen=True)
class Prediction:
    """A record of one picture, with names.

    Args:
        source: file, frame and time.
        record: in pixels of the picture.
        scheme: what the record's points or labels stand for, a `Scheme`.
        image: the picture, RGB uint8 [H, W, 3].
    """

    source: Source
    record: Record
    scheme: Any
    image: ndarray

    def __getitem__(self, name: str) -> ndarray | float | Objects:
        """What was found of one name of the scheme.

        Returns:
            of keypoints (x, y, score) of every person [N, 3]; of objects those of the class; of a label map its mask,
            bool [H, W]; of values their map, float32 [H, W]; of an image the score of the class.

        Raises:
            KeyError: the scheme has no such name.
        """
        if name not in self.scheme.names:
            raise KeyError(f"{name!r} is none of {', '.join(self.scheme.names)}")
        place, record = self.scheme.names.index(name), self.record
        if isinstance(record, LabelMap):
            return record.label_map == place
        if isinstance(record, ValueMap):
            return record.values[place]
        if isinstance(record, Category):
            assert record.class_scores is not None, "predictions have scores"
            return float(record.class_scores[place])
        if record.points is not None:
            assert record.point_scores is not None
            return np.concatenate([record.points[:, place], record.point_scores[:, place, None]], axis=1)
        return record.select(record.labels == place)

    def draw(self) -> ndarray:
        """The picture with what was found over it, RGB uint8 [H, W, 3]."""
        return draw(self.image, self.record, self.scheme)

    def to_dict(self) -> PredictionDict:
        """Everything but pixels, as json can hold it; boxes are edges, points have pixel centres on integers."""
        height, width = self.image.shape[:2]
        found: PredictionDict = {"source": self.source.name, "width": width, "height": height}
        if self.source.frame is not None:
            found["frame"] = self.source.frame
        if self.source.time is not None:
            found["time"] = self.source.time
        record, names = self.record, self.scheme.names
        if isinstance(record, LabelMap):
            counts = np.bincount(record.label_map.ravel(), minlength=len(names))
            found["pixels"] = {names[i]: int(counts[i]) for i in np.flatnonzero(counts[: len(names)])}
        elif isinstance(record, ValueMap):
            found["values"] = {n: _sum_up(one) for n, one in zip(names, record.values, strict=True)}
        elif isinstance(record, Category):
            assert record.class_scores is not None, "predictions have scores"
            best = np.argsort(-record.class_scores, kind="stable")[:MOST_CATEGORIES].tolist()
            found["classes"] = {names[i]: float(record.class_scores[i]) for i in best}
        else:
            found["objects"] = _list_objects(record, self.scheme)
        return found


def _sum_up(numbers: ndarray) -> dict[str, float]:
    """The smallest, the middle and the largest of the numbers that are finite."""
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return {}
    return {"min": float(finite.min()), "median": float(np.median(finite)), "max": float(finite.max())}


def _list_objects(record: Objects, scheme: Any) -> list[ObjectDict]:
    """A dict an object: its score, box, id and class, people's keypoints by name, and the mask if there is one."""
    scores, boxes = (_finite(np.asarray(some, np.float64)).tolist() for some in (record.scores, record.boxes_xyxy))
    objects: list[ObjectDict] = [{"score": s, "box_xyxy": box} for s, box in zip(scores, boxes, strict=True)]
    classes = scheme if record.points is None else scheme.classes
    if classes is not None:
        for one, label in zip(objects, record.labels.tolist(), strict=True):
            one["label"] = classes.names[label]
    if record.ids is not None:
        for one, number in zip(objects, record.ids.tolist(), strict=True):
            if number > 0:
                one["id"] = number
    if record.points is not None:
        assert record.point_scores is not None
        triplets = np.concatenate([record.points, record.point_scores[..., None]], axis=-1, dtype=np.float64)
        triplets[~np.isfinite(triplets[..., :2]).all(axis=-1)] = 0.0
        for one, points in zip(objects, _finite(triplets).tolist(), strict=True):
            one["keypoints"] = dict(zip(scheme.names, points, strict=True))
    if record.raw_points is not None:
        for place, points in enumerate(_finite(record.raw_points.astype(np.float64)).tolist()):
            if record.filled is None or not record.filled[place]:
                objects[place]["raw_keypoints"] = dict(zip(scheme.names, points, strict=True))
    for place in () if record.filled is None else np.flatnonzero(record.filled).tolist():
        objects[place]["filled"] = True
    if record.masks is not None:
        for one, mask in zip(objects, record.masks.run_lengths(), strict=True):
            one["mask"] = mask
    return objects


def _finite(values: ndarray) -> ndarray:
    """Values that json can hold: 0 in place of those that are not finite."""
    return np.where(np.isfinite(values), values, 0.0)
