"""How far predicted keypoints are from the true ones: PCK, the area under its curve, and the mean distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import DataError, Moved, OptionError
from hrtoolkit.keypoints.results import PointsWriter, warn_of_infinite
from hrtoolkit.metric import BaseMetric
from hrtoolkit.ranges import Positive
from hrtoolkit.records import Objects
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import KeypointScheme

CURVE_PIXELS = 30.0  # of the image, that the curve of AUC ends before
CURVE_STEPS = 20
LEAST_TORSO = 1.0  # pixels; a shorter one is taken from the prediction


class PointsMeasure(NamedTuple):
    """The one object of a sample."""

    prediction: ndarray  # [K, 2]
    points: ndarray  # [K, 2]
    visible: ndarray  # [K]
    size: float  # pixels, that distances are divided by


@METRICS.register_module()
class PckMetric(BaseMetric[PointsMeasure]):
    """Share of keypoints nearer to the true ones than a fraction of the object's size, and distances in pixels.

    PCK is the mean over keypoints, not over points; the size is the longer side of the annotated box, or what else the
    data set states. AUC is the mean of PCK at 0, 1.5, ... 28.5 pixels, so that 0.95 is the most; EPE is the mean
    distance of all labelled points. Both are in pixels of the image: data of other image sizes have other numbers.

    Args:
        threshold: the fraction; a distance of exactly that much is too far.
        torso: two keypoints whose distance is another size, by which "tPCK" is measured, as in sub-JHMDB.
        headline: the number that decides which weights are best.

    Raises:
        OptionError: an unknown headline.
    """

    headline = "PCK"
    writer = PointsWriter()
    moved: ClassVar[Moved] = {"out_file": lambda value: f"give tools/test.py --out {value}"}

    def __init__(
        self,
        *,
        threshold: Positive = 0.2,
        torso: Sequence[str] | None = None,
        headline: Literal["PCK", "AUC"] = "PCK",
    ):
        if headline not in ("PCK", "AUC"):
            raise OptionError(f"PckMetric: headline is {headline!r}, expected 'PCK' or 'AUC'")
        self.threshold, self.torso, self.headline = threshold, torso, headline
        self.perfect = 1 - 1 / CURVE_STEPS if headline == "AUC" else 1.0

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> PointsMeasure:
        if truth.sizes is None or len(truth.sizes) != 1:
            raise DataError("PCK compares one object a sample with its truth; set apart=True in the dataset")
        assert prediction is not None and prediction.points is not None, "every sample has a crop"
        assert truth.points is not None and truth.visible is not None
        return PointsMeasure(prediction.points[0], truth.points[0], truth.visible[0], float(truth.sizes[0]))

    def score(self, measures: list[PointsMeasure], scheme: KeypointScheme) -> dict[str, float]:
        predictions, points, visible, sizes = (np.stack(column) for column in zip(*measures, strict=True))
        warn_of_infinite(predictions)
        counted = visible > 0
        distances = measure_distances(predictions, points)
        numbers = {"PCK": pck(distances, counted, sizes, self.threshold)}
        if self.torso is not None:
            torsos = measure_torsos(predictions, points, counted, self._torso_of(scheme))
            numbers["tPCK"] = pck(distances, counted, torsos, self.threshold)
        pixels = np.full(len(distances), CURVE_PIXELS)
        curve = [pck(distances, counted, pixels, step / CURVE_STEPS) for step in range(CURVE_STEPS)]
        total = counted.sum()
        epe = float(distances[counted].sum() / total) if total else float("nan")
        return {**numbers, "AUC": float(np.mean(curve)), "EPE": epe}

    def _torso_of(self, scheme: KeypointScheme) -> list[int]:
        assert self.torso is not None
        if len(self.torso) != 2 or not set(self.torso) <= set(scheme.names):
            raise OptionError(f"PckMetric: torso takes two of the names {list(scheme.names)}, got {list(self.torso)}")
        return [scheme.names.index(name) for name in self.torso]


def measure_distances(predictions: ndarray, points: ndarray) -> ndarray:
    """Distances [N, K] of points [N, K, 2], infinite where a prediction is not finite."""
    distances = np.linalg.norm(np.asarray(predictions, np.float64) - points, axis=-1)
    return np.nan_to_num(distances, nan=np.inf, posinf=np.inf)


def measure_torsos(predictions: ndarray, points: ndarray, counted: ndarray, ends: Sequence[int]) -> ndarray:
    """Distances [N] between two keypoints, those of the predictions where the true one is shorter than a pixel.

    Args:
        predictions: [N, K, 2].
        points: [N, K, 2], the true ones.
        counted: [N, K] bool, which are labelled; where an end is not, there is no true torso.
        ends: positions of the two.
    """
    first, second = ends
    ours, true = (np.linalg.norm(p[:, first] - p[:, second], axis=-1) for p in (predictions, points))
    return np.where(counted[:, [first, second]].all(axis=1) & (true >= LEAST_TORSO), true, ours)


def pck(distances: ndarray, counted: ndarray, sizes: ndarray, threshold: float) -> float:
    """Share of distances strictly below a fraction of the size, as the mean over the keypoints that anybody has.

    Args:
        distances: [N, K] in pixels.
        counted: [N, K] bool.
        sizes: [N] in pixels; an object of size 0 does not count.
        threshold: the fraction.

    Returns:
        from 0 to 1; NaN where nothing counts.
    """
    counted = counted & (sizes > 0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        near = counted & (distances / sizes[:, None] < threshold)
    total = counted.sum(axis=0)
    shares = near.sum(axis=0)[total > 0] / total[total > 0]
    return float(shares.mean()) if len(shares) else float("nan")
