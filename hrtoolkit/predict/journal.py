"""What a folder of predictions holds, line by line: read as often as anybody wants, and never as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hrtoolkit.masks import Masks
from hrtoolkit.records import Objects
from hrtoolkit.schemes import KeypointScheme, Scheme


class Journal:
    """The predictions of a folder, each as `Output` wrote it: what `Prediction.to_dict` gives, and two names.

    `output` is what its files are called; `path`, of frames, is where they were read.

    Args:
        path: of the file; what a killed run left of its last line is no prediction.
        change: of every prediction, such as other ids; None for none.
    """

    def __init__(self, path: Path, change: Callable[[dict[str, Any]], dict[str, Any]] | None = None):
        self.path, self.change = path, change

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    one = json.loads(line)
                except ValueError:
                    return
                yield one if self.change is None else self.change(one)


def to_objects(one: dict[str, Any], scheme: Scheme) -> Objects:
    """The people or objects of a prediction of the journal.

    Args:
        one: has `objects`.
        scheme: of their keypoints or classes.
    """
    things = one["objects"]
    points = scores = masks = None
    classes = scheme.classes if isinstance(scheme, KeypointScheme) else scheme
    if isinstance(scheme, KeypointScheme):
        found = np.array([[thing["keypoints"][name] for name in scheme.names] for thing in things], np.float32)
        found = found.reshape(-1, len(scheme.names), 3)
        points, scores = found[..., :2], found[..., 2]
    if any("mask" in thing for thing in things):
        masks = Masks((one["height"], one["width"]), [thing["mask"] for thing in things])
    labels = [classes.names.index(thing["label"]) if classes is not None else 0 for thing in things]
    return Objects(
        boxes_xyxy=np.array([thing["box_xyxy"] for thing in things], np.float64).reshape(-1, 4),
        labels=np.array(labels, np.int64),
        scores=np.array([thing["score"] for thing in things], np.float64),
        points=points,
        point_scores=scores,
        masks=masks,
        ids=np.array([thing.get("id", -1) for thing in things], np.int64),
    )
