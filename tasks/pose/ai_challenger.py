"""The protocol of AI Challenger's keypoint task (Wu et al., arXiv:1711.06475), as its keypoint_eval.py has it."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import DataError, Moved
from hrtoolkit.metric import BaseMetric
from hrtoolkit.records import Objects
from hrtoolkit.registry import METRICS
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.runtime.oks import oks_between
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import with_sigmas
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric, CocoKeypointWriter

THRESHOLDS = np.linspace(0.5, 0.95, 10)


class NearestMeasure(NamedTuple):
    """An image."""

    nearest: ndarray  # [T] OKS of the nearest prediction to each person
    found: int  # how many are predicted


@METRICS.register_module()
class AiChallengerMetric(BaseMetric[NearestMeasure]):
    """Share of people whom a prediction is near, of all that are annotated or predicted.

    "mAP" is no average precision: predictions have no order by score, and one may be the nearest of several people. An
    image counts as many people as are annotated or predicted, whichever is more, and the share is the mean over OKS
    above 0.5, 0.55, ... 0.95. OKS compares the points that are seen, not those that are only labelled, and divides by
    the area of the box.
    """

    headline = "mAP"
    perfect = None  # who has no point that is seen is never found
    writer = CocoKeypointWriter()
    moved: ClassVar[Moved] = {"out_file": CocoKeypointMetric.moved["out_file"]}

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> NearestMeasure:
        if truth.points is None or truth.visible is None:
            raise DataError("AiChallengerMetric compares keypoints, and the data has none")
        people, found = len(truth.labels), 0 if prediction is None else len(prediction.labels)
        if prediction is None or not found:
            return NearestMeasure(np.zeros(people), 0)
        assert prediction.points is not None
        sides = to_xywh(truth.boxes_xyxy)[:, 2:]
        areas = sides[:, 0] * sides[:, 1] + 1  # as the official code has it
        seen = truth.visible > 1
        sigmas = np.array(with_sigmas(scheme).sigmas)
        oks = oks_between(truth.points[:, None], prediction.points[None], areas[:, None], sigmas, seen[:, None])
        return NearestMeasure(oks.max(axis=1), found)

    def score(self, measures: list[NearestMeasure], scheme: KeypointScheme) -> dict[str, float]:
        nearest = np.concatenate([one.nearest for one in measures])
        total = sum(max(len(one.nearest), one.found) for one in measures)
        right = (nearest[:, None] > THRESHOLDS).sum(axis=0)
        return {"mAP": float((right / total).mean()) if total else float("nan")}
