"""What a predictor found in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hrtoolkit.records import Objects, Record
from hrtoolkit.runtime import prediction
from hrtoolkit.schemes import Scheme

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True)
class Prediction(prediction.Prediction):
    """A record of one picture, with names, see `hrtoolkit.runtime.prediction.Prediction`."""

    record: Record
    scheme: Scheme

    def to_supervision(self) -> supervision.KeyPoints | supervision.Detections:
        """The same as `supervision.KeyPoints` or `supervision.Detections` (pip install 'supervision>=0.31').

        Raises:
            TypeError: the record is neither people nor objects.
        """
        import supervision

        record = self.record
        if not isinstance(record, Objects):
            raise TypeError(f"supervision has no type for a {type(record).__name__}")
        if record.points is not None:
            assert record.point_scores is not None
            return supervision.KeyPoints(
                xy=record.points.astype(np.float32),
                keypoint_confidence=record.point_scores.astype(np.float32),
                detection_confidence=np.asarray(record.scores, np.float32),
                class_id=record.labels.astype(int),
            )
        return supervision.Detections(
            xyxy=np.asarray(record.boxes_xyxy, np.float32),
            mask=None if record.masks is None else record.masks.draw().astype(bool),
            confidence=np.asarray(record.scores, np.float32),
            class_id=record.labels.astype(int),
            data={"class_name": np.array([self.scheme.names[label] for label in record.labels], dtype=str)},
        )
