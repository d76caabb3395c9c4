"""The benchmark protocol of semantic segmentation: intersection over union of classes, from one confusion matrix."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from hrtoolkit.tasks.segmentation.classes import IGNORED, ClassSet
from hrtoolkit.tasks.segmentation.pictures import draw_legend
from numpy import ndarray
from PIL import Image
from torch import Tensor

from hrtoolkit.errors import shorten
from hrtoolkit.files import write_atomically
from hrtoolkit.metric import Metric
from hrtoolkit.registry import METRICS
from hrtoolkit.threads import map_bands

log = logging.getLogger(__name__)


@METRICS.register_module()
class SegmentationMetric(Metric):
    """Mean IoU, pixel accuracy and mean accuracy over all pixels of a dataset, between 0 and 1.

    Pixels are counted on the device, into one matrix, kept with the first result, that leaves it at the end.
    `dataset_meta` has to hold `classes`. Every evaluation logs the IoU of each class.

    Args:
        absent: what becomes of a class that is neither in the labels nor in the predictions: "zero" counts it with an
            IoU of 0 as the official code does, "skip" leaves it out of the means. Either is said in the log.
        out_file: where all numbers and the confusion matrix go, as json.
        label_dir: folder for the predictions as palette PNGs, with the values of the dataset's own label files (what
            the Cityscapes server takes), named by image.
        prefix: put before the names of the numbers.

    Raises:
        ValueError: an unknown `absent`.
    """

    headline = "mIoU"

    def __init__(
        self,
        absent: Literal["zero", "skip"] = "zero",
        out_file: str | None = None,
        label_dir: str | None = None,
        prefix: str | None = None,
    ):
        super().__init__(prefix=prefix)
        if absent not in ("zero", "skip"):
            raise ValueError(f"SegmentationMetric: absent must be 'zero' or 'skip', got {absent!r}")
        self.absent = absent
        self.out_file = out_file
        self.label_dir = label_dir
        self.class_iou: ndarray | None = None  # of the last evaluation

    def process(self, data_batch: Any, predictions: Sequence[dict]) -> None:
        """Count the pixels of each image.

        Args:
            data_batch: not used.
            predictions: one dict an image: `index` (position in the dataset), `labels` (class indices uint8 [H, W]),
                `label` (the true ones, or None), and with `label_dir` also `image_id`.
        """
        classes = self.dataset_meta["classes"]
        for image in predictions:
            self.results.append({"index": image["index"]})
            if image["label"] is not None:
                counts = count_confusions(image["labels"], torch.from_numpy(image["label"]), len(classes.names))
                self.results[0]["confusion"] = counts + self.results[0].get("confusion", 0)
            if self.label_dir is not None:
                path = Path(self.label_dir, f"{image['image_id']}.png")
                write_labels(path, image["labels"].cpu().numpy(), classes)

    def evaluate(self, size: int) -> dict[str, float]:
        """As every metric; here the counts leave the device.

        Args:
            size: number of samples in the dataset.

        Raises:
            RuntimeError: predictions are missing for some samples, or there are several.
        """
        if self.results and "confusion" in self.results[0]:
            self.results[0]["confusion"] = self.results[0]["confusion"].cpu().numpy()
        return super().evaluate(size)

    def _score(self, gathered: list[list[dict]], size: int) -> dict[str, float]:
        times = Counter(result["index"] for results in gathered for result in results)
        if repeated := sorted(index for index, count in times.items() if count > 1):
            raise RuntimeError(
                f"{type(self).__name__}: samples {shorten(repeated)} were counted more than once; use a sampler that "
                "repeats none, such as hrtoolkit's TestSampler"
            )
        return super()._score(gathered, size)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """mIoU, pixel accuracy and mean accuracy; nothing where no image has labels."""
        classes = self.dataset_meta["classes"]
        matrices = [result["confusion"] for result in results if "confusion" in result]
        if not matrices:
            log.warning("none of %d images has labels: nothing to score", len(results))
            return {}
        matrix = np.sum(matrices, axis=0)
        scores, self.class_iou, class_accuracy = score_confusions(matrix, self.absent)
        missing = [name for name, seen in zip(classes.names, matrix.sum(0) + matrix.sum(1), strict=True) if not seen]
        if missing:
            treated = "count as 0" if self.absent == "zero" else "are left out of the means"
            log.warning(
                "%d classes are neither in the labels nor predicted and %s (metric.absent): %s",
                *(len(missing), treated, ", ".join(missing)),
            )
        width = max(map(len, classes.names))
        rows = [
            f"  {name:{width}}  {iou:.3f}  {accuracy:.3f}"
            for name, iou, accuracy in zip(classes.names, self.class_iou, class_accuracy, strict=True)
        ]
        log.info("%s", "\n".join([f"  {'class':{width}}  IoU    accuracy", *rows]))
        if self.out_file is not None:
            per_class = {
                name: {"IoU": None if np.isnan(iou) else float(iou), "accuracy": None if np.isnan(acc) else float(acc)}
                for name, iou, acc in zip(classes.names, self.class_iou, class_accuracy, strict=True)
            }
            content = {**scores, "classes": per_class, "confusion": matrix.tolist()}
            with write_atomically(self.out_file) as file:
                json.dump(content, file)
        return scores

    def draw(self) -> dict[str, ndarray]:
        """The colours of the classes with their IoU in the last evaluation."""
        if self.class_iou is None:
            return {}
        return {"legend": draw_legend(self.dataset_meta["classes"], [f"IoU {iou:.3f}" for iou in self.class_iou])}


def count_confusions(predicted: Tensor, true: Tensor, classes: int) -> Tensor:
    """Count how often each class was taken for each, int64 [C, C]: rows true, columns predicted.

    Args:
        predicted: class indices [H, W], on any device.
        true: class indices [H, W]; pixels that are IGNORED are not counted.
        classes: their number.
    """
    if predicted.device.type == "cpu":
        return _count_on_cpu(predicted.numpy(), true.numpy(), classes)
    true = true.to(predicted.device, torch.int32, non_blocking=True)
    # Ignored pixels go to a row of their own: picking the others out would cost more than counting them.
    pairs = true.where(true != IGNORED, classes) * classes + predicted
    return torch.bincount(pairs.flatten(), minlength=(classes + 1) * classes)[: classes * classes].view(
        classes, classes
    )


def _count_on_cpu(predicted: ndarray, true: ndarray, classes: int) -> Tensor:
    """The same by OpenCV's joint histogram: one pass over the bytes, in which IGNORED is out of range."""

    def count(*pair: ndarray) -> ndarray:
        return cv2.calcHist(pair, [0, 1], None, [classes] * 2, [0, classes] * 2).astype(np.int64)

    # Histograms come in single precision, which holds whole numbers up to 2 ** 24.
    return torch.from_numpy(sum(map_bands(count, true, predicted, largest=2**24)))


def score_confusions(matrix: ndarray, absent: Literal["zero", "skip"]) -> tuple[dict[str, float], ndarray, ndarray]:
    """Sum up a confusion matrix [C, C] (rows true, columns predicted), as the official code does.

    Args:
        matrix: pixel counts.
        absent: "zero" counts classes without pixels as 0, "skip" leaves them out of the means.

    Returns:
        "mIoU", "pixel_accuracy" and "mean_accuracy"; the IoU of each class [C], and its accuracy [C], NaN where it
        is skipped.
    """
    right, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    iou = right / np.maximum(true + predicted - right, 1)
    accuracy = right / np.maximum(true, 1)
    if absent == "skip":
        iou[true + predicted == 0] = np.nan
        accuracy[true == 0] = np.nan
    scores = {
        "mIoU": float(np.nanmean(iou)),
        "pixel_accuracy": float(right.sum() / max(true.sum(), 1)),
        "mean_accuracy": float(np.nanmean(accuracy)),
    }
    return scores, iou, accuracy


def write_labels(path: Path, labels: ndarray, classes: ClassSet) -> None:
    """Write class indices [H, W] as a PNG with the values of the dataset's label files and the colours of its classes.

    Args:
        path: of the file; its folder is made if needed.
        labels: class indices.
        classes: values and colours.
    """
    values = classes.decode(labels)
    image = Image.fromarray(values)
    if values.dtype == np.uint8:
        palette = np.zeros((256, 3), np.uint8)
        palette[list(classes.ids)] = classes.palette
        image.putpalette(palette.ravel().tolist())
    with write_atomically(path, "wb") as file:
        image.save(file, format="PNG")
