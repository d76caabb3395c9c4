"""The protocol of COCO: average precision and recall of boxes and masks."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from hrtoolkit.coco_eval import evaluate
from hrtoolkit.files import write_atomically
from hrtoolkit.masks import Masks
from hrtoolkit.metric import BaseMetric, BaseWriter, Writer
from hrtoolkit.records import Objects, Record
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import ClassScheme, Scheme


class CocoResults(BaseWriter):
    """Writes COCO's results format, which `box_file` of a pose data set reads.

    Masks go beside the boxes, into a file whose name ends in "_masks".
    """

    def pack(self, path: str, sample_id: int | str, record: Record, scheme: Scheme) -> list[dict]:
        """One dict an object."""
        assert isinstance(record, Objects) and isinstance(scheme, ClassScheme)
        corners = np.asarray(record.boxes_xyxy, np.float64)
        sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
        scores = np.asarray(record.scores, np.float64).tolist()
        packed = [
            {"image_id": sample_id, "category_id": scheme.ids[label], "score": score, "bbox": box}
            for label, score, box in zip(record.labels.tolist(), scores, sides, strict=True)
        ]
        if record.masks is not None:
            for one, mask in zip(packed, record.masks.run_lengths(), strict=True):
                one["segmentation"] = mask
        return packed

    def write(self, path: str, packed: list[dict]) -> None:
        """Write boxes, and masks if there are any."""
        masks = [{k: v for k, v in one.items() if k != "bbox"} for one in packed if "segmentation" in one]
        _write(path, [{k: v for k, v in one.items() if k != "segmentation"} for one in packed])
        if masks:
            _write(Path(path).with_stem(f"{Path(path).stem}_masks"), masks)


def _write(path: str | Path, records: list[dict]) -> None:
    text = json.dumps(records)  # not json.dump: it takes the slow encoder
    with write_atomically(path, size=len(text)) as file:
        file.write(text)


Pair = tuple[Objects, Objects | None]  # truth and prediction


@METRICS.register_module()
class CocoDetectionMetric(BaseMetric[Pair]):
    """Average precision and recall of COCO's detection task.

    Numbers of boxes have plain names; where data and model have masks, theirs begin with "mask_". They lie between 0
    and 1; -1 where no object is of that kind.

    Args:
        per_class: also give the average precision of every class, "AP/person".
    """

    moved = MappingProxyType(
        {"out_file": lambda _: "tools/test.py --out FILE writes results", "prefix": lambda _: "leave it out"}
    )
    headline = "AP"
    writer: Writer | None = CocoResults()

    def __init__(self, per_class: bool = False):
        self.per_class = per_class

    def measure(self, prediction: Objects | None, truth: Objects, scheme: ClassScheme) -> Pair:
        if prediction is not None and prediction.masks is None:
            truth = truth._replace(masks=None)
        return _pack_masks(truth), None if prediction is None else _pack_masks(prediction)

    def score(self, measures: list[Pair], scheme: ClassScheme) -> dict[str, float]:
        truths, predictions = [truth for truth, _ in measures], [prediction for _, prediction in measures]
        found = [prediction for prediction in predictions if prediction is not None]
        kinds: dict[str, Literal["bbox", "segm"]] = {"": "bbox"}
        if found and all(record.masks is not None for record in (*truths, *found)):
            kinds["mask_"] = "segm"
        numbers: dict[str, float] = {}
        for prefix, kind in kinds.items():
            scores = evaluate(truths, predictions, kind, scheme)
            numbers |= {f"{prefix}{name}": value for name, value in scores.numbers.items()}
            if self.per_class:
                numbers |= {f"{prefix}AP/{name}": value for name, value in scores.by_class.items()}
        return numbers


def _pack_masks(record: Objects) -> Objects:
    """The same with run lengths, which are smaller than polygons."""
    if record.masks is None:
        return record
    return record._replace(masks=Masks(record.masks.size_hw, record.masks.run_lengths()))
