"""Errors of predicted numbers over all pixels of a data set: of depth, of surface normals, and of any others."""

from __future__ import annotations

import logging

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import DataError
from hrtoolkit.files import place_inside
from hrtoolkit.metric import BaseMetric, BaseWriter, Writer
from hrtoolkit.records import Record, ValueMap
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import Scheme, ValueScheme
from hrtoolkit.visualization import write_value_map

log = logging.getLogger(__name__)

NEAR = 1.25  # factor between predicted and true depth that is near enough
BIN = 0.25  # degrees; the share within CLOSE follows from whole bins
CLOSE = 11.25  # degrees
BINS = round(180 / BIN)


class ValueWriter(BaseWriter):
    """A folder of .npy files, named by image: float32 [H, W], of several values [H, W, C], in the scheme's unit."""

    folder = True

    def pack(self, path: str, sample_id: int | str, record: Record, scheme: Scheme) -> list:
        assert isinstance(record, ValueMap)
        write_value_map(place_inside(path, f"{sample_id}.npy"), record.values)
        return []

    def write(self, path: str, packed: list) -> None:
        """Nothing is left to be written."""


class PixelMetric(BaseMetric[ndarray | None]):
    """What the metrics of numbers share: sums over the pixels that something is known of, which add up.

    A subclass gives `sum_up(predicted, true)`, float64 [n] of one image, and `score_sums(total)`.
    """

    best = min
    perfect = None  # the truth is at no distance from itself: to read all of it before a run would say nothing
    writer: Writer | None = ValueWriter()

    def measure(self, prediction: ValueMap | None, truth: ValueMap | None, scheme: ValueScheme) -> ndarray | None:
        if prediction is None or truth is None:
            return None
        self.check_scheme(scheme)
        known = np.isfinite(truth.values).all(axis=0)
        return self.sum_up(prediction.values[:, known].astype(np.float64), truth.values[:, known].astype(np.float64))

    def score(self, measures: list[ndarray | None], scheme: ValueScheme) -> dict[str, float]:
        sums = [one for one in measures if one is not None]
        total = np.sum(sums, axis=0) if sums else np.zeros(1)
        if not total[0]:
            log.warning("nothing is known of any pixel of %d images: nothing to score", len(measures))
            return {}
        numbers = self.score_sums(total)
        if not np.isfinite(list(numbers.values())).all():
            log.warning("predictions are not finite, and so are their errors: are the weights?")
        return numbers

    def check_scheme(self, scheme: ValueScheme) -> None:
        """Refuse values that this metric is not for.

        Raises:
            DataError: it is not.
        """

    def sum_up(self, predicted: ndarray, true: ndarray) -> ndarray:
        """Sums over the pixels of an image, float64 [n]; the first is the number of pixels.

        Args:
            predicted: [C, N].
            true: [C, N], finite.
        """
        raise NotImplementedError

    def score_sums(self, total: ndarray) -> dict[str, float]:
        """The numbers of what was summed over all images."""
        raise NotImplementedError


@METRICS.register_module()
class ValueMetric(PixelMetric):
    """Mean absolute error and root mean square error of any numbers; of several a pixel the mean over them."""

    headline = "MAE"

    def sum_up(self, predicted: ndarray, true: ndarray) -> ndarray:
        errors = _errors(predicted, true)
        return np.array([true.shape[1], errors.mean(axis=0).sum(), np.square(errors).mean(axis=0).sum()])

    def score_sums(self, total: ndarray) -> dict[str, float]:
        pixels, absolute, squares = total.tolist()
        return {"MAE": absolute / pixels, "RMSE": (squares / pixels) ** 0.5}


@METRICS.register_module()
class DepthMetric(PixelMetric):
    """Errors of depth (Eigen et al., NIPS 2014, arXiv:1406.2283), over all pixels of a data set together.

    AbsRel is the mean of |predicted - true| / true, RMSE the root mean square error in the unit of the data, and
    delta@1.25 the share of pixels whose predicted and true depth differ by a factor below 1.25.
    """

    headline = "AbsRel"

    def check_scheme(self, scheme: ValueScheme) -> None:
        if scheme.values != "positive" or len(scheme.names) != 1:
            raise DataError(
                f"DepthMetric is for one positive value a pixel, and the scheme has {', '.join(scheme.names)}, "
                f"{scheme.values!r}; take ValueMetric, or give the scheme values='positive'"
            )

    def sum_up(self, predicted: ndarray, true: ndarray) -> ndarray:
        errors = _errors(predicted, true)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = predicted / true
            near = np.maximum(ratio, 1 / ratio) < NEAR  # never where a prediction is NaN
        near &= predicted > 0
        return np.array([true.size, (errors / true).sum(), np.square(errors).sum(), near.sum()])

    def score_sums(self, total: ndarray) -> dict[str, float]:
        pixels, relative, squares, near = total.tolist()
        return {"AbsRel": relative / pixels, "RMSE": (squares / pixels) ** 0.5, f"delta@{NEAR}": near / pixels}


@METRICS.register_module()
class NormalMetric(PixelMetric):
    """Angles between predicted and true surface normals (Fouhey et al., ICCV 2013), over all pixels of a data set.

    Their mean and their median in degrees, and the share of pixels within 11.25 degrees. The median is read off bins of
    a quarter of a degree.
    """

    headline = "mean_angle"

    def check_scheme(self, scheme: ValueScheme) -> None:
        if scheme.values != "unit_vector":
            raise DataError(
                f"NormalMetric is for unit vectors, and the scheme has {scheme.values!r} values; take another metric, "
                "or give the scheme values='unit_vector'"
            )

    def sum_up(self, predicted: ndarray, true: ndarray) -> ndarray:
        degrees = angles(predicted, true)
        places = np.minimum(degrees / BIN, BINS - 1).astype(np.int64)
        return np.concatenate([[degrees.size, degrees.sum()], np.bincount(places, minlength=BINS)])

    def score_sums(self, total: ndarray) -> dict[str, float]:
        (pixels, degrees), counts = total[:2].tolist(), total[2:]
        # Within its bin the median lies where as many are below as above, as if they were spread evenly.
        until = np.cumsum(counts)
        place = int(np.searchsorted(until, pixels / 2))
        median = BIN * (place + 1 - (until[place] - pixels / 2) / counts[place])
        return {
            "mean_angle": degrees / pixels,
            "median_angle": float(median),
            f"within@{CLOSE}": float(until[round(CLOSE / BIN) - 1] / pixels),
        }


def angles(a: ndarray, b: ndarray) -> ndarray:
    """Angles between unit vectors [C, N] in degrees [N], exact near 0 too; 180 where one is not finite.

    An arc cosine would give 0.02 degrees for equal vectors of single precision (Kahan, 2006).
    """
    apart, together = np.linalg.norm(a - b, axis=0), np.linalg.norm(a + b, axis=0)
    return np.degrees(2 * np.nan_to_num(np.arctan2(apart, together), nan=np.pi / 2))


def _errors(predicted: ndarray, true: ndarray) -> ndarray:
    """Absolute differences, infinite where a prediction is not finite."""
    return np.nan_to_num(np.abs(predicted - true), nan=np.inf, posinf=np.inf)
