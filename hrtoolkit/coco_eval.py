"""Average precision and recall of records, computed by COCO's own code (https://cocodataset.org)."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from hrtoolkit.errors import DataError
from hrtoolkit.geometry import to_xywh
from hrtoolkit.records import Objects
from hrtoolkit.schemes import ClassScheme

try:  # an optional extra: the same numbers, many times faster
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster as COCOeval
except ImportError:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

log = logging.getLogger(__name__)

# The order of COCOeval.stats. Boxes and masks: at 100 detections an image, but for AR1 and AR10; S, M and L are sizes.
BOX_NUMBERS = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR1", "AR10", "AR100", "AR_S", "AR_M", "AR_L")
KEYPOINT_NUMBERS = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")


class Scores(NamedTuple):
    """What COCO's code says; -1 where no object is of that kind."""

    numbers: dict[str, float]  # by `BOX_NUMBERS` or `KEYPOINT_NUMBERS`
    by_class: dict[str, float]  # AP of each class by its name; empty where nothing was predicted


def evaluate(
    truths: Sequence[Objects],
    predictions: Sequence[Objects | None],
    kind: Literal["bbox", "segm", "keypoints"],
    classes: ClassScheme,
    sigmas: Sequence[float] = (),
    with_boxes: bool = False,
) -> Scores:
    """Score predictions, image by image in the order given, which decides between equal scores.

    Crowds are crowds. What else is ignored has no keypoints for kind "keypoints", and is a crowd for the others, which
    know no other way to leave it out.

    Args:
        truths: of each image, ignored ones too.
        predictions: of each image, finished: best first where scores are equal; None where nobody looked. Their masks
            are run lengths.
        kind: what is compared.
        classes: what labels stand for.
        sigmas: OKS fall-offs, for kind "keypoints".
        with_boxes: for kind "keypoints", take the size of an unmatched prediction from its box, as mmpose does, instead
            of from its keypoints, which changes AP_M and AP_L, and only these.

    Raises:
        DataError: an annotated object lacks its area or its box.
    """
    annotations, results = [], []
    for image, (truth, found) in enumerate(zip(truths, predictions, strict=True), start=1):
        annotations += _describe_truth(truth, image, kind, classes)
        if found is not None:
            results += _describe_prediction(found, image, kind, classes, with_boxes)
    lacking = sum(not np.isfinite([one["area"], *one["bbox"]]).all() for one in annotations)
    if lacking:
        raise DataError(
            f"{lacking} of {len(annotations)} annotated objects lack `area` or `bbox`; add what is missing, average "
            "precision depends on it"
        )
    names = KEYPOINT_NUMBERS if kind == "keypoints" else BOX_NUMBERS
    if not results:
        log.warning("there are no predictions to score: every number is 0")
        return Scores(dict.fromkeys(names, 0.0), {})
    # COCO's code prints; and it finds annotations by id and marks matches by it: id 0 would never match.
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        # It asks for sizes, and does not use them where masks are run lengths.
        images = [{"id": image, "height": 0, "width": 0} for image in range(1, len(truths) + 1)]
        categories = [{"id": i, "name": name} for i, name in zip(classes.ids, classes.names, strict=True)]
        coco.dataset = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), kind)
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    numbers = dict(zip(names, map(float, evaluation.stats), strict=False))
    return Scores(numbers, _score_classes(evaluation.eval["precision"], classes))


def _score_classes(precision: np.ndarray, classes: ClassScheme) -> dict[str, float]:
    """AP of each class, from precisions [overlaps, recalls, classes by their ids, sizes, numbers of predictions]."""
    numbers = {}
    for name, column in zip(classes.names, np.argsort(np.argsort(classes.ids)), strict=True):
        values = precision[:, :, column, 0, -1]
        values = values[values > -1]
        numbers[name] = float(values.mean()) if values.size else -1.0
    return numbers


def _describe_truth(truth: Objects, image: int, kind: str, classes: ClassScheme) -> list[dict]:
    nobody = np.zeros(len(truth.labels), dtype=bool)
    crowd, ignored = (nobody if flags is None else flags for flags in (truth.crowd, truth.ignored))
    columns = {
        "area": truth.areas.tolist(),
        "bbox": to_xywh(truth.boxes_xyxy.astype(np.float64)).tolist(),
        "iscrowd": (crowd if kind == "keypoints" else crowd | ignored).astype(int).tolist(),
    }
    if kind == "keypoints":
        columns["num_keypoints"] = (~ignored).astype(int).tolist()
        columns["keypoints"] = _triplets(truth.points, truth.visible)
    elif kind == "segm":
        columns["segmentation"] = truth.masks.run_lengths()
    return _records(truth, image, classes, columns)


def _describe_prediction(found: Objects, image: int, kind: str, classes: ClassScheme, with_boxes: bool) -> list[dict]:
    columns: dict = {"score": np.asarray(found.scores, np.float64).tolist()}
    if kind == "bbox" or with_boxes:  # those of masks have no box, or it would decide their size
        columns["bbox"] = to_xywh(found.boxes_xyxy.astype(np.float64)).tolist()
    if kind == "keypoints":
        columns["keypoints"] = _triplets(found.points, found.point_scores)
    elif kind == "segm":
        columns["segmentation"] = found.masks.run_lengths()
    return _records(found, image, classes, columns)


def _records(record: Objects, image: int, classes: ClassScheme, columns: dict[str, list]) -> list[dict]:
    """One dict an object, with one entry of each column."""
    rows = zip(*columns.values(), strict=True)
    labels = record.labels.tolist()
    return [
        {"image_id": image, "category_id": classes.ids[label], **dict(zip(columns, row, strict=True))}
        for label, row in zip(labels, rows, strict=True)
    ]


def _triplets(points: np.ndarray, third: np.ndarray) -> list[np.ndarray]:
    """x, y and a third number of every keypoint, one after another, [3K] of each object."""
    values = np.concatenate([points, third[..., None]], axis=-1, dtype=np.float64)
    return list(values.reshape(len(points), 3 * points.shape[1]))
