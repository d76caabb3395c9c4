"""The benchmark protocols of pose estimation: COCO's keypoint average precision and MPII's PCKh."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.coco_eval import MOST, evaluate
from hrtoolkit.errors import DataError, Moved, OptionError
from hrtoolkit.keypoints.results import PointsWriter, warn_of_infinite, write_json
from hrtoolkit.metric import BaseMetric, BaseWriter
from hrtoolkit.records import Objects, Record
from hrtoolkit.registry import METRICS
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.schemes import ClassScheme, KeypointScheme, Scheme
from hrtoolkit.schemes.people import MPII, with_sigmas

# MPII takes 60 % of the diagonal of the annotated head box as the size of the head.
MPII_HEAD_BIAS = 0.6
MPII_SIDED_PARTS = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
MPII_UNSCORED = ("pelvis", "thorax")


class PeopleMeasure(NamedTuple):
    """The people of an image, with what COCO's code looks at."""

    found: Objects | None
    truth: Objects


class PersonMeasure(NamedTuple):
    """The person of a sample of MPII."""

    prediction: ndarray  # [16, 2]
    points: ndarray  # [16, 2]
    visible: ndarray  # [16]
    size: float


@METRICS.register_module()
class CocoKeypointMetric(BaseMetric[PeopleMeasure]):
    """Average precision and recall of COCO's keypoint task, computed by COCO's own code.

    Numbers are between 0 and 1; -1 where the images have nobody of that size. Of several categories each is scored by
    itself, and the numbers are the means over those that the images have.

    Args:
        write_bbox: put the input box into the results, as mmpose does. COCO then takes the size of an unmatched
            person from this box instead of from the keypoints, which changes AP_M and AP_L, and only these.
        most: how many people of an image count, the best ones. COCO's own limit is 20; with another one, numbers
            cannot be compared with published ones.

    Raises:
        OptionError: `most` is not above 0.
    """

    headline = "AP"
    moved: ClassVar[Moved] = {
        **{name: f"model.finish.{name}" for name in ("keypoint_threshold", "nms", "nms_threshold", "score")},
        "out_file": lambda value: f"give tools/test.py --out {value}",
    }

    def __init__(self, write_bbox: bool = False, most: int = MOST["keypoints"]):
        if most < 1:
            raise OptionError(f"CocoKeypointMetric: most is {most}, expected at least 1")
        self.write_bbox, self.most = write_bbox, most
        self.writer = CocoKeypointWriter(write_bbox)

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> PeopleMeasure:
        return PeopleMeasure(None if prediction is None else prediction._replace(areas=None), truth)

    def score(self, measures: list[PeopleMeasure], scheme: KeypointScheme) -> dict[str, float]:
        found, truths = zip(*measures, strict=True)
        sigmas = with_sigmas(scheme).sigmas
        return evaluate(truths, found, "keypoints", _classes(scheme), sigmas, self.write_bbox, self.most).numbers


@METRICS.register_module()
class CrowdPoseMetric(CocoKeypointMetric):
    """CrowdPose's protocol (Li et al., CVPR 2019): COCO's, with areas of its own, and AP of images by crowding.

    A person's area is 0.53 times that of the box. Where a data set has the subsets "easy", "medium" and "hard", their
    AP is that of their images alone, rounded to four digits as the official code does; -1 where nobody counts.

    Args:
        most: how many people of an image count, the best ones. The official limit is 20.

    Raises:
        OptionError: `most` is not above 0.
    """

    AREA = 0.53  # of a box

    def __init__(self, most: int = MOST["keypoints"]):
        super().__init__(most=most)

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> PeopleMeasure:
        sides = to_xywh(truth.boxes_xyxy)[:, 2:]
        return super().measure(prediction, truth._replace(areas=sides[:, 0] * sides[:, 1] * self.AREA), scheme)

    def score(self, measures: list[PeopleMeasure], scheme: KeypointScheme) -> dict[str, float]:
        numbers = super().score(measures, scheme)
        return {name: numbers[name] for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75")}

    def score_subset(self, measures: list[PeopleMeasure], scheme: KeypointScheme) -> dict[str, float]:
        return {"AP": round(self.score(measures, scheme)["AP"], 4) if measures else -1.0}


class CocoKeypointWriter(BaseWriter):
    """Results of COCO's keypoint task.

    Args:
        write_bbox: also write the box that each person was looked for in.
    """

    def __init__(self, write_bbox: bool = False):
        self.write_bbox = write_bbox

    def pack(self, path: str, sample_id: int | str, record: Record, scheme: Scheme) -> list[dict]:
        assert isinstance(record, Objects) and isinstance(scheme, KeypointScheme)
        assert record.points is not None and record.point_scores is not None and record.scores is not None
        ids = _classes(scheme).ids
        triplets = np.concatenate([record.points, record.point_scores[..., None]], axis=-1, dtype=np.float64)
        people = [
            {"image_id": sample_id, "category_id": ids[label], "keypoints": keypoints, "score": score}
            for label, keypoints, score in zip(
                record.labels.tolist(),
                triplets.reshape(len(triplets), 3 * triplets.shape[1]).tolist(),
                record.scores.tolist(),
                strict=True,
            )
        ]
        if self.write_bbox:
            for person, box in zip(people, to_xywh(record.boxes_xyxy).tolist(), strict=True):
                person["bbox"] = box
        return people

    def write(self, path: str, packed: list) -> None:
        write_json(path, packed)


def _classes(scheme: KeypointScheme) -> ClassScheme:
    return scheme.classes or ClassScheme(("person",), ids=(1,))


@METRICS.register_module()
class MpiiPckMetric(BaseMetric[PersonMeasure]):
    """PCKh of the MPII validation set: keypoints, in percent, that lie within a fraction of the head size.

    "PCKh" and the parts are at half a head. What the official code published as "Mean@0.1" was measured at 0.11; this
    number and the true one have their own names.
    """

    headline = "PCKh"
    perfect = 100.0
    writer = PointsWriter()
    moved: ClassVar[Moved] = {"out_file": CocoKeypointMetric.moved["out_file"]}

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> PersonMeasure:
        if truth.sizes is None:
            raise DataError(
                "PCKh needs the dataset's `gt_file`; take gt_valid.mat of the official HRNet release of the MPII "
                "annotations"
            )
        assert prediction is not None and prediction.points is not None, "every sample has a crop"
        assert truth.points is not None and truth.visible is not None
        return PersonMeasure(prediction.points[0], truth.points[0], truth.visible[0], truth.sizes[0])

    def score(self, measures: list[PersonMeasure], scheme: KeypointScheme) -> dict[str, float]:
        predictions, points, visible, sizes = (np.stack(column) for column in zip(*measures, strict=True))
        warn_of_infinite(predictions)
        at = {threshold: pckh(predictions, points, visible, sizes, threshold) for threshold in (0.5, 0.1, 0.11)}
        return {**at[0.5], "PCKh@0.1": at[0.1]["PCKh"], "PCKh@0.11": at[0.11]["PCKh"]}


def pckh(
    predictions: ndarray, points: ndarray, visible: ndarray, head_sizes: ndarray, threshold: float
) -> dict[str, float]:
    """Percentage of keypoints whose error is at most `threshold` times 60 % of the head's diagonal.

    Args:
        predictions: [N, 16, 2], x and y in pixels; what is not finite is wrong.
        points: [N, 16, 2], the true ones.
        visible: [N, 16], above 0 where a keypoint is annotated.
        head_sizes: [N], diagonals of the head boxes in pixels.
        threshold: fraction of the (biased) head size; an error of exactly this much is still right.

    Returns:
        "PCKh" over all annotated keypoints except pelvis and thorax, then the parts from head to ankle; a part is the
        plain mean of its two sides, NaN where nobody has it annotated.
    """
    counted = np.asarray(visible) > 0
    distances = np.linalg.norm(np.asarray(predictions, np.float64) - points, axis=-1)
    right = (distances / (MPII_HEAD_BIAS * np.asarray(head_sizes)[:, None]) <= threshold) & counted

    def percentage(*names: str) -> float:
        columns = [MPII.names.index(name) for name in names]
        total = counted[:, columns].sum()
        return float(100 * right[:, columns].sum() / total) if total else float("nan")

    scores = {
        "PCKh": percentage(*(name for name in MPII.names if name not in MPII_UNSCORED)),
        "Head": percentage("head_top"),
    }
    for part in MPII_SIDED_PARTS:
        scores[part] = (percentage(f"left_{part.lower()}") + percentage(f"right_{part.lower()}")) / 2
    return scores
