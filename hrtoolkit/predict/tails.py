"""Where everybody in a video was a moment ago, drawn as a line behind them."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.records import Objects
from hrtoolkit.runtime.drawing import draw_tails


class Tails:
    """The middles of boxes of the last seconds, by id.

    Args:
        seconds: that they reach back.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._video: str | None = None
        self._ways: dict[int, deque[tuple[float, float, float]]] = {}  # time, x and y

    def draw(self, prediction: Prediction) -> Prediction:
        """The same prediction of a frame, with the tails of who is in it on its picture."""
        source, record = prediction.source, prediction.record
        if not isinstance(record, Objects) or record.ids is None or source.time is None:
            return prediction
        if source.name != self._video:
            self._video = source.name
            self._ways.clear()
        middles = (record.boxes_xyxy[:, :2] + record.boxes_xyxy[:, 2:]) / 2
        for number, (x, y) in zip(record.ids.tolist(), middles.tolist(), strict=True):
            if number > 0:
                self._ways.setdefault(number, deque()).append((source.time, x, y))
        for number, way in [*self._ways.items()]:
            while way and way[0][0] < source.time - self.seconds:
                way.popleft()
            if not way:
                del self._ways[number]
        lines = {number: np.array(way)[:, 1:] for number, way in self._ways.items()}
        return replace(prediction, image=draw_tails(prediction.image, lines))
