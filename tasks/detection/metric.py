"""The protocol of COCO: average precision and recall of boxes and masks."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrtoolkit.errors import DataError
from hrtoolkit.files import write_atomically
from hrtoolkit.metric import Metric
from hrtoolkit.registry import METRICS

try:  # an optional extra: the same numbers, many times faster
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster as COCOeval
except ImportError:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

logger = logging.getLogger(__name__)

# The order of COCOeval.stats: at 100 detections an image, but for AR1 and AR10; S, M and L are sizes of objects.
COCO_STATS = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR1", "AR10", "AR100", "AR_S", "AR_M", "AR_L")


@METRICS.register_module()
class CocoDetectionMetric(Metric):
    """Average precision and recall of COCO's detection task, computed by pycocotools or faster-coco-eval.

    Numbers of boxes have plain names; where data and model have masks, theirs begin with "mask_". `dataset_meta` has to
    hold `ann_file`, `read_ground_truth` (gives the annotations in COCO's format), `classes`, `category_ids` (one a
    label), `image_ids` and `masks`. Annotations without objects (COCO's test sets) yield results but no numbers.

    Args:
        per_class: also give the average precision of every class, "AP/person".
        out_file: where the boxes go, in COCO's results format, which `box_file` of a pose dataset reads. Masks go
            beside it, into a file whose name ends in "_masks".
        prefix: put before the names of the numbers.
    """

    headline = "AP"

    def __init__(self, per_class: bool = False, out_file: str | None = None, prefix: str | None = None):
        super().__init__(prefix=prefix)
        self.per_class = per_class
        self.out_file = out_file

    def process(self, data_batch: Any, predictions: Sequence[dict]) -> None:
        """Keep what scoring needs of each image.

        Args:
            data_batch: not used.
            predictions: one dict an image: `index` (position in the dataset), `image_id`, `boxes` [N, 4] (x1, y1, x2,
                y2 in pixels of the original image), `scores` [N], `labels` [N] from 0 on, and `masks`, N run lengths,
                where there are masks.
        """
        fields = ("index", "image_id", "boxes", "scores", "labels", "masks")
        self.results.extend({field: one[field] for field in fields if field in one} for one in predictions)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """AP, AR and their variants, between 0 and 1; -1 where no object is of that kind (as pycocotools)."""
        meta = self.dataset_meta
        boxes, masks = self._build_results(results)
        if self.out_file is not None:
            write_results(boxes, self.out_file)
            if masks:
                path = Path(self.out_file)
                write_results(masks, path.with_name(f"{path.stem}_masks{path.suffix}"))
        ground_truth = build_ground_truth(meta["read_ground_truth"](), meta["ann_file"])
        if not ground_truth.anns:
            logger.warning("%s has no annotations: nothing to score (results: %s)", meta["ann_file"], self.out_file)
            return {}
        numbers = self._score_kind(ground_truth, boxes, "bbox", "")
        if meta["masks"] and any("masks" in one for one in results):
            numbers |= self._score_kind(ground_truth, masks, "segm", "mask_")
        return numbers

    def _score_kind(self, ground_truth: COCO, found: list[dict], kind: str, prefix: str) -> dict[str, float]:
        meta = self.dataset_meta
        if not found:
            logger.warning("nothing was detected in %s: every number is 0", meta["ann_file"])
            return {f"{prefix}{name}": 0.0 for name in COCO_STATS}
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(ground_truth, ground_truth.loadRes(found), kind)
            evaluation.params.catIds = list(meta["category_ids"])
            evaluation.params.imgIds = list(meta["image_ids"])
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        numbers = dict(zip((f"{prefix}{name}" for name in COCO_STATS), map(float, evaluation.stats), strict=False))
        if self.per_class:
            precision = evaluation.eval["precision"][:, :, :, 0, -1]  # [overlaps, recalls, classes], any size
            # pycocotools sorts the categories.
            order = np.argsort(np.argsort(meta["category_ids"]))
            for name, column in zip(meta["classes"], order, strict=True):
                values = precision[:, :, column]
                values = values[values > -1]
                numbers[f"{prefix}AP/{name}"] = float(values.mean()) if values.size else -1.0
        return numbers

    def _build_results(self, results: list[dict]) -> tuple[list[dict], list[dict]]:
        """COCO's result records of boxes and of masks; those of masks have no box, or it would decide their size."""
        category_ids = np.array(self.dataset_meta["category_ids"])
        boxes, masks = [], []
        for one in results:
            corners = np.asarray(one["boxes"], np.float64).reshape(-1, 4)
            sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
            categories = category_ids[np.asarray(one["labels"], np.int64)].tolist()
            scores = np.asarray(one["scores"], np.float64).tolist()
            common = [
                {"image_id": one["image_id"], "category_id": category, "score": score}
                for category, score in zip(categories, scores, strict=True)
            ]
            boxes += [record | {"bbox": box} for record, box in zip(common, sides, strict=True)]
            if "masks" in one:
                masks += [record | {"segmentation": mask} for record, mask in zip(common, one["masks"], strict=True)]
        return boxes, masks


def build_ground_truth(content: dict, source: str) -> COCO:
    """COCO-format annotations such that boxes and masks can be scored against them.

    Where it is absent, `iscrowd` is 0.

    Args:
        content: as the file has it; it is not changed.
        source: what errors call it.

    Raises:
        DataError: an annotation lacks what the score depends on.
    """
    annotations = content.get("annotations", [])
    if lacking := [a for a in annotations if "area" not in a or len(a.get("bbox", ())) != 4]:
        raise DataError(
            f"{source}: {len(lacking)} of {len(annotations)} annotations lack `area` or `bbox`; the first is "
            f"annotation {lacking[0].get('id')}; add what is missing, average precision depends on it"
        )
    # pycocotools finds annotations by id and marks matches by it: a repeated id hides an object, id 0 never matches.
    annotations = [{"iscrowd": 0, **a, "id": number} for number, a in enumerate(annotations, start=1)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"info": {}, **content, "annotations": annotations}
        coco.createIndex()
    return coco


def write_results(records: list[dict], path: str | Path) -> None:
    """Write COCO's result records into a json file."""
    with write_atomically(path) as file:
        file.write(json.dumps(records))  # not json.dump: it takes the slow encoder
