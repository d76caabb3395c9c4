"""Average precision of whole bodies, and of their parts apart (Jin et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from hrtoolkit.coco_eval import evaluate
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.records import Objects
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import ClassScheme, KeypointScheme
from hrtoolkit.schemes.people import with_sigmas
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric, PeopleMeasure

COCO_WHOLEBODY = MappingProxyType({"body": 17, "foot": 6, "face": 68, "left_hand": 21, "right_hand": 21})


@METRICS.register_module()
class WholeBodyMetric(CocoKeypointMetric):
    """COCO's average precision of all keypoints, and of each part by the person's area, box and score.

    Of a part, people who have none of it labelled are ignored. The numbers are those of the authors' code (xtcocotools)
    with one score a person, which is how published results were made; "hand" there is the mean of both hands.

    Args:
        parts: how many keypoints each part has, in the order of the scheme, the body first; by default those of
            COCO-WholeBody.

    Raises:
        OptionError: a part has no keypoint.
    """

    def __init__(self, parts: Mapping[str, int] = COCO_WHOLEBODY):
        if not parts or min(parts.values()) < 1:
            raise OptionError(f"WholeBodyMetric: each part has a keypoint at least, got {dict(parts)}")
        super().__init__()
        self.parts = dict(parts)

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> PeopleMeasure:
        if sum(self.parts.values()) != len(scheme.names):
            counts = f"{sum(self.parts.values())} keypoints, and the data {len(scheme.names)}"
            raise DataError(f"WholeBodyMetric: the parts have {counts}; correct the metric's `parts`")
        return super().measure(prediction, truth, scheme)

    def score(self, measures: list[PeopleMeasure], scheme: KeypointScheme) -> dict[str, float]:
        numbers = self.score_part(measures, scheme, slice(None))
        ends = np.cumsum([0, *self.parts.values()])
        for name, first, end in zip(self.parts, ends[:-1], ends[1:], strict=True):
            of_part = self.score_part(measures, scheme, slice(first, end))
            numbers |= {f"{number} {name}": of_part[number] for number in ("AP", "AR")}
        return numbers

    def score_part(self, measures: list[PeopleMeasure], scheme: KeypointScheme, which: slice) -> dict[str, float]:
        """All of COCO's numbers for some of the keypoints.

        Args:
            measures: of all samples.
            scheme: of the data.
            which: the keypoints.
        """
        body = next(iter(self.parts.values()))
        truths = [_cut_truth(one.truth, which) for one in measures]
        found = [None if one.found is None else _cut_found(one.found, which, body) for one in measures]
        classes = scheme.classes or ClassScheme(("person",), ids=(1,))
        sigmas = with_sigmas(scheme).sigmas[which]
        return evaluate(truths, found, "keypoints", classes, sigmas, with_boxes=True, most=self.most).numbers


def _cut_truth(truth: Objects, which: slice) -> Objects:
    assert truth.points is not None and truth.visible is not None
    visible = truth.visible[:, which]
    ignored: np.ndarray = ~np.any(visible > 0, axis=1)
    if truth.ignored is not None:
        ignored = ignored | truth.ignored
    return truth._replace(points=truth.points[:, which], visible=visible, ignored=ignored)


def _cut_found(found: Objects, which: slice, body: int) -> Objects:
    """Some of the keypoints, with the box around those of the body: it decides the size of who is not matched."""
    assert found.points is not None and found.point_scores is not None
    around = found.points[:, :body]
    return found._replace(
        points=found.points[:, which],
        point_scores=found.point_scores[:, which],
        boxes_xyxy=np.concatenate([around.min(axis=1), around.max(axis=1)], axis=1),
    )
