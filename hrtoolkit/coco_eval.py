"""Average precision and recall of records, computed by COCO's own code (https://cocodataset.org)."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from hrtoolkit.errors import DataError
from hrtoolkit.records import Objects
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.schemes import ClassScheme

try:  # an optional extra: the same numbers, many times faster
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster as COCOeval
except ImportError:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

log = logging.getLogger(__name__)

# By what `_summarise` takes: AP or AR, the place of an overlap (0.5 is the first, 0.75 the sixth), of the sizes (all,
# small, medium, large; of keypoints without small), and of the limits.
BOX_NUMBERS = {
    "AP": ("AP", None, 0, -1), "AP50": ("AP", 0, 0, -1), "AP75": ("AP", 5, 0, -1),
    "AP_S": ("AP", None, 1, -1), "AP_M": ("AP", None, 2, -1), "AP_L": ("AP", None, 3, -1),
    "AR1": ("AR", None, 0, 0), "AR10": ("AR", None, 0, 1), "AR100": ("AR", None, 0, -1),
    "AR_S": ("AR", None, 1, -1), "AR_M": ("AR", None, 2, -1), "AR_L": ("AR", None, 3, -1),
}  # fmt: skip
KEYPOINT_NUMBERS = {
    "AP": ("AP", None, 0, -1), "AP50": ("AP", 0, 0, -1), "AP75": ("AP", 5, 0, -1),
    "AP_M": ("AP", None, 1, -1), "AP_L": ("AP", None, 2, -1),
    "AR": ("AR", None, 0, -1), "AR50": ("AR", 0, 0, -1), "AR75": ("AR", 5, 0, -1),
    "AR_M": ("AR", None, 1, -1), "AR_L": ("AR", None, 2, -1),
}  # fmt: skip
MOST = {"bbox": 100, "segm": 100, "keypoints": 20}  # predictions of an image that count


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
    most: int | None = None,
) -> Scores:
    """Score predictions, image by image in the order given, which decides between equal scores.

    Predictions that are not finite are left out, so that what they were for counts as missed, and the log says so: to
    COCO's code NaN is above every threshold. Crowds are crowds. What else is ignored has no keypoints for kind
    "keypoints", and is a crowd for the others, which know no other way to leave it out.

    Args:
        truths: of each image, ignored ones too.
        predictions: of each image, finished: best first where scores are equal; None where nobody looked. Their masks
            are run lengths.
        kind: what is compared.
        classes: what labels stand for.
        sigmas: OKS fall-offs, for kind "keypoints".
        with_boxes: for kind "keypoints", take the size of an unmatched prediction from its box, as mmpose does, instead
            of from its keypoints, which changes AP_M and AP_L, and only these.
        most: how many predictions of an image count, the best ones; None for COCO's own limits, which are `MOST`.

    Raises:
        DataError: an annotated object lacks its area or its box.
    """
    most = most or MOST[kind]
    annotations, results, left_out = [], [], 0
    for image, (truth, found) in enumerate(zip(truths, predictions, strict=True), start=1):
        annotations += _describe_truth(truth, image, kind, classes)
        if found is not None:
            finite = _are_finite(found, kind, with_boxes)
            left_out += int((~finite).sum())
            kept = found if finite.all() else found.select(finite)
            results += _describe_prediction(kept, image, kind, classes, with_boxes)
    lacking = sum(not np.isfinite([one["area"], *one["bbox"]]).all() for one in annotations)
    if lacking:
        raise DataError(
            f"{lacking} of {len(annotations)} annotated objects lack `area` or `bbox`; add what is missing, average "
            "precision depends on it"
        )
    counted = any(_counts(annotation) for annotation in annotations)
    if not counted:
        log.warning("none of %d annotated objects counts (crowds, ignored): every number is -1", len(annotations))
    if left_out:
        log.warning(
            "%d of %d predictions are not finite (%s or scores): they are left out, and what they were for counts as "
            "missed; look at the weights and at what was given to the model",
            *(left_out, left_out + len(results), "points" if kind == "keypoints" else "boxes"),
        )
    numbers = KEYPOINT_NUMBERS if kind == "keypoints" else BOX_NUMBERS
    if most != MOST["bbox"] and kind != "keypoints":
        numbers = {name.replace("AR100", f"AR{most}"): which for name, which in numbers.items()}
    if not results:
        log.warning("there are no predictions to score: every number is %d", 0 if counted else -1)
        return Scores(dict.fromkeys(numbers, 0.0 if counted else -1.0), {})
    precision, recall = _accumulate(annotations, results, len(truths), kind, classes, sigmas, most)
    columns = np.argsort(np.argsort(classes.ids))
    return Scores(
        {name: _summarise(precision, recall, *which) for name, which in numbers.items()},
        {name: _mean(precision[:, :, k, 0, -1]) for name, k in zip(classes.names, columns, strict=True)},
    )


def _accumulate(
    annotations: list[dict],
    results: list[dict],
    images: int,
    kind: str,
    classes: ClassScheme,
    sigmas: Sequence[float],
    most: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Precisions and recalls as COCO's code accumulates them, in the shapes that `_summarise` takes.

    Args:
        annotations: of all images; they get ids.
        results: predictions, one at least.
        images: how many there are, numbered from 1.
        kind: see `evaluate`.
        classes: see `evaluate`.
        sigmas: see `evaluate`.
        most: predictions of an image that count.
    """
    # COCO's code prints; and it finds annotations by id and marks matches by it: id 0 would never match.
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        # It asks for sizes, and does not use them where masks are run lengths.
        numbered = [{"id": image, "height": 0, "width": 0} for image in range(1, images + 1)]
        categories = [{"id": i, "name": name} for i, name in zip(classes.ids, classes.names, strict=True)]
        coco.dataset = {"info": {}, "images": numbered, "annotations": annotations, "categories": categories}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), kind)
        evaluation.params.maxDets = [most] if kind == "keypoints" else [1, 10, most]
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def _summarise(
    precision: np.ndarray, recall: np.ndarray, name: str, overlap: int | None, size: int, limit: int
) -> float:
    """One number of what COCO's code accumulates, as its own summary does, which knows no other limits than its own.

    Args:
        precision: [overlaps, recalls, classes by their ids, sizes, limits].
        recall: [overlaps, classes, sizes, limits].
        name: "AP" or "AR".
        overlap: place of the only overlap that counts; None for all.
        size: place of the sizes.
        limit: place of the limit.
    """
    values = (precision if name == "AP" else recall)[..., size, limit]
    return _mean(values if overlap is None else values[overlap])


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


def _counts(annotation: dict) -> bool:
    return not annotation["iscrowd"] and annotation.get("num_keypoints", 1) > 0


def _are_finite(found: Objects, kind: str, with_boxes: bool) -> np.ndarray:
    """Which predictions [N] are finite, in what is looked at."""
    finite = np.isfinite(np.asarray(found.scores, np.float64))
    if kind == "keypoints":
        assert found.points is not None
        finite &= np.isfinite(found.points).all(axis=(1, 2))
    if kind != "keypoints" or with_boxes:
        finite &= np.isfinite(found.boxes_xyxy).all(axis=1)
    return finite


def _describe_truth(truth: Objects, image: int, kind: str, classes: ClassScheme) -> list[dict]:
    nobody = np.zeros(len(truth.labels), dtype=bool)
    crowd, ignored = (nobody if flags is None else flags for flags in (truth.crowd, truth.ignored))
    assert truth.areas is not None, "data that COCO's code scores say areas"
    columns = {
        "area": truth.areas.tolist(),
        "bbox": to_xywh(truth.boxes_xyxy.astype(np.float64)).tolist(),
        "iscrowd": (crowd if kind == "keypoints" else crowd | ignored).astype(int).tolist(),
    }
    if kind == "keypoints":
        columns["num_keypoints"] = (~ignored).astype(int).tolist()
        assert truth.points is not None and truth.visible is not None
        columns["keypoints"] = _triplets(truth.points, truth.visible)
    elif kind == "segm":
        assert truth.masks is not None
        columns["segmentation"] = truth.masks.run_lengths()
    return _records(truth, image, classes, columns)


def _describe_prediction(found: Objects, image: int, kind: str, classes: ClassScheme, with_boxes: bool) -> list[dict]:
    columns: dict = {"score": np.asarray(found.scores, np.float64).tolist()}
    if kind == "bbox" or with_boxes:  # those of masks have no box, or it would decide their size
        columns["bbox"] = to_xywh(found.boxes_xyxy.astype(np.float64)).tolist()
    if kind == "keypoints":
        assert found.points is not None and found.point_scores is not None
        columns["keypoints"] = _triplets(found.points, found.point_scores)
    elif kind == "segm":
        assert found.masks is not None
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
