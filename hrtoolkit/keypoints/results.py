"""Predicted keypoints on their way into numbers and files."""

from __future__ import annotations

import json
import logging

import numpy as np
from numpy import ndarray

from hrtoolkit.files import write_atomically
from hrtoolkit.metric import BaseWriter
from hrtoolkit.records import Objects, Record
from hrtoolkit.schemes import Scheme

log = logging.getLogger(__name__)


def warn_of_infinite(predictions: ndarray) -> None:
    """Say how many objects have predicted points [N, K, 2] that are not finite."""
    if infinite := int((~np.isfinite(predictions)).any(axis=(1, 2)).sum()):
        log.warning(
            "%d of %d predictions are not finite: they count as missed; look at the weights and at what was given to "
            "the model",
            *(infinite, len(predictions)),
        )


class PointsWriter(BaseWriter):
    """A json list of samples that show one object each: `index`, `image_id` and `keypoints` (x, y pixels from 0)."""

    def pack(self, path: str, sample_id: int | str, record: Record, scheme: Scheme) -> list[dict]:
        assert isinstance(record, Objects) and record.points is not None
        return [{"image_id": sample_id, "keypoints": record.points[0].tolist()}]

    def write(self, path: str, packed: list[dict]) -> None:
        write_json(path, [{"index": index, **record} for index, record in enumerate(packed)])


def write_json(path: str, content: list) -> None:
    """Write a list into a json file, whose folder is made where it is not there."""
    text = json.dumps(content)  # not json.dump: it takes the slow encoder
    with write_atomically(path, size=len(text)) as file:
        file.write(text)
