"""Result files of keypoints."""

from __future__ import annotations

import json

from hrtoolkit.files import write_atomically
from hrtoolkit.metric import BaseWriter


class PointsWriter(BaseWriter):
    """A json list of samples that show one object each: `index`, `image_id` and `keypoints` (x, y pixels from 0)."""

    def pack(self, path, sample_id, record, scheme):
        return [{"image_id": sample_id, "keypoints": record.points[0].tolist()}]

    def write(self, path, packed):
        write_json(path, [{"index": index, **record} for index, record in enumerate(packed)])


def write_json(path: str, content: list) -> None:
    """Write a list into a json file, whose folder is made where it is not there."""
    with write_atomically(path) as file:
        file.write(json.dumps(content))  # not json.dump: it takes the slow encoder
