"""The benchmark protocol of semantic segmentation: intersection over union of classes, from one confusion matrix."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.files import place_inside
from hrtoolkit.metric import BaseMetric, BaseWriter, Writer
from hrtoolkit.records import LabelMap, Record
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import IGNORED, ClassScheme, Scheme
from hrtoolkit.threads import map_bands
from hrtoolkit.visualization import write_label_map

log = logging.getLogger(__name__)

LINE_HEIGHT, SWATCH_WIDTH, GROUND, INK = 18, 30, 24, 235


class LabelWriter(BaseWriter):
    """A folder of palette PNGs, named by image, with the values of the data set's own label files.

    That is what the Cityscapes server takes.
    """

    folder = True

    def pack(self, path: str, sample_id: int | str, record: Record, scheme: Scheme) -> list:
        assert isinstance(record, LabelMap) and isinstance(scheme, ClassScheme)
        write_label_map(place_inside(path, f"{sample_id}.png"), record.label_map, scheme)
        return []

    def write(self, path: str, packed: list) -> None:
        """Nothing is left to be written."""


@METRICS.register_module()
class SegmentationMetric(BaseMetric[ndarray | None]):
    """Mean IoU, pixel accuracy and mean accuracy over all pixels of a dataset, between 0 and 1.

    Every evaluation logs the IoU of each class.

    Args:
        absent: what becomes of a class that is neither in the labels nor in the predictions: "zero" counts it with an
            IoU of 0 as the official code does, "skip" leaves it out of the means. Either is said in the log.

    Raises:
        OptionError: an unknown `absent`.
    """

    moved = MappingProxyType(
        {
            "label_dir": lambda value: f"write the label files with tools/test.py --out {value}",
            "out_file": lambda _: "the log has the numbers of each class; --out FOLDER writes label files",
        }
    )
    headline = "mIoU"
    perfect = None  # a class that does not occur counts as 0
    writer: Writer | None = LabelWriter()

    def __init__(self, absent: Literal["zero", "skip"] = "zero"):
        if absent not in ("zero", "skip"):
            raise OptionError(f"SegmentationMetric: absent must be 'zero' or 'skip', got {absent!r}")
        self.absent = absent

    def measure(self, prediction: LabelMap | None, truth: LabelMap | None, scheme: ClassScheme) -> ndarray | None:
        """Which classes were taken for which, int32 [2, n]: cells of the confusion matrix, and their pixels.

        A predicted pixel that is IGNORED, because its scores are not finite, is missed.

        Args:
            prediction: see `Metric`.
            truth: see `Metric`.
            scheme: see `Metric`.
        """
        if prediction is None or truth is None:
            return None
        counts = count_confusions(prediction.label_map, truth.label_map, len(scheme.names)).ravel()
        cells = np.flatnonzero(counts)
        return np.stack([cells, counts[cells]]).astype(np.int32)

    def score(self, measures: list[ndarray | None], scheme: ClassScheme) -> dict[str, float]:
        """mIoU, pixel accuracy and mean accuracy; nothing where no image has labels.

        Args:
            measures: see `Metric`.
            scheme: see `Metric`.
        """
        matrix = sum_confusions(measures, scheme)
        if matrix is None:
            log.warning("none of %d images has labels: nothing to score", len(measures))
            return {}
        if missed := int(matrix[:, -1].sum()):
            log.warning(
                "%d pixels (%.1f %%) have scores that are NaN or infinite and count as missed: are the weights finite?",
                *(missed, 100 * missed / matrix.sum()),
            )
        scores, class_iou, class_accuracy = score_confusions(matrix, self.absent)
        missing = [
            name for name, seen in zip(scheme.names, matrix.sum(0)[:-1] + matrix.sum(1), strict=True) if not seen
        ]
        if missing:
            treated = "count as 0" if self.absent == "zero" else "are left out of the means"
            log.warning(
                "%d classes are neither in the labels nor predicted and %s (metric.absent): %s",
                *(len(missing), treated, ", ".join(missing)),
            )
        width = max(map(len, scheme.names))
        rows = [
            f"  {name:{width}}  {iou:.3f}  {accuracy:.3f}"
            for name, iou, accuracy in zip(scheme.names, class_iou, class_accuracy, strict=True)
        ]
        log.info("%s", "\n".join([f"  {'class':{width}}  IoU    accuracy", *rows]))
        return scores

    def draw(self, measures: Mapping[str, list[ndarray | None]], scheme: Scheme) -> dict[str, ndarray]:
        """The colors of the classes with their IoU."""
        assert isinstance(scheme, ClassScheme)
        matrix = sum_confusions(measures["all"], scheme)
        if matrix is None:
            return {}
        class_iou = score_confusions(matrix, self.absent)[1]
        return {"legend": draw_legend(scheme, [f"IoU {iou:.3f}" for iou in class_iou])}


def count_confusions(predicted: ndarray, true: ndarray, classes: int) -> ndarray:
    """Count how often each class was taken for each, int64 [C, C + 1]: rows true, columns predicted, the last missed.

    OpenCV's joint histogram passes over the bytes once, and leaves IGNORED out, because it is out of range.

    Args:
        predicted: class indices uint8 [H, W]; pixels that are IGNORED are missed.
        true: class indices uint8 [H, W]; pixels that are IGNORED are not counted.
        classes: their number.
    """

    def count(*pair: ndarray) -> ndarray:
        return cv2.calcHist(pair, [0, 1], None, [classes] * 2, [0, classes] * 2).astype(np.int64)

    # Histograms come in single precision, which holds whole numbers up to 2 ** 24.
    matrix = np.zeros((classes, classes + 1), np.int64)
    matrix[:, :classes] = sum(map_bands(count, true, predicted, largest=2**24))
    missed = predicted == IGNORED
    if missed.any():
        matrix[:, classes] = np.bincount(true[missed], minlength=256)[:classes]
    return matrix


def sum_confusions(measures: list[ndarray | None], scheme: ClassScheme) -> ndarray | None:
    """The confusion matrix int64 [C, C + 1] of all images that have labels; None where none has.

    Args:
        measures: see `SegmentationMetric.measure`.
        scheme: of the data.
    """
    known = [measure for measure in measures if measure is not None]
    if not known:
        return None
    classes = len(scheme.names)
    matrix = np.zeros(classes * (classes + 1), np.int64)
    for cells, counts in known:
        matrix[cells] += counts
    return matrix.reshape(classes, classes + 1)


def score_confusions(matrix: ndarray, absent: Literal["zero", "skip"]) -> tuple[dict[str, float], ndarray, ndarray]:
    """Sum up a confusion matrix [C, C + 1] (rows true, columns predicted, or missed), as the official code does.

    Args:
        matrix: pixel counts.
        absent: "zero" counts classes without pixels as 0, "skip" leaves them out of the means.

    Returns:
        "mIoU", "pixel_accuracy" and "mean_accuracy"; the IoU of each class [C], and its accuracy [C], NaN where it
        is skipped.
    """
    right, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)[:-1]
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


def draw_legend(scheme: ClassScheme, notes: list[str], columns: int = 3) -> ndarray:
    """Draw the color, name and note of every class, RGB uint8 [H, W, 3], column after column.

    Args:
        scheme: names and colors.
        notes: one a class, such as its IoU.
        columns: side by side, fewer where there are few classes.
    """
    lines = [f"{name}  {note}" for name, note in zip(scheme.names, notes, strict=True)]
    columns = min(columns, -(-len(lines) // 8))
    rows = -(-len(lines) // columns)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4
    width = SWATCH_WIDTH + 12 + max(cv2.getTextSize(line, font, scale, 1)[0][0] for line in lines)
    legend = np.full((rows * LINE_HEIGHT, columns * width, 3), GROUND, np.uint8)
    for index, (line, color) in enumerate(zip(lines, scheme.palette, strict=True)):
        top, left = index % rows * LINE_HEIGHT, index // rows * width
        legend[top + 2 : top + LINE_HEIGHT - 2, left + 2 : left + SWATCH_WIDTH] = color
        position = (left + SWATCH_WIDTH + 5, top + LINE_HEIGHT - 5)
        cv2.putText(legend, line, position, font, scale, (INK,) * 3, 1, cv2.LINE_AA)
    return legend
