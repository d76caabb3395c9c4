"""The benchmark protocol of face alignment: normalised mean error, failure rates and the cumulative error curve."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy import ndarray
from scipy.integrate import simpson

from hrtoolkit.errors import DataError, Moved
from hrtoolkit.keypoints.results import PointsWriter
from hrtoolkit.metric import BaseMetric
from hrtoolkit.records import Objects
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import KeypointScheme, Scheme

log = logging.getLogger(__name__)

THRESHOLDS = (0.08, 0.10)
CURVE_STEP = 1e-4


@METRICS.register_module()
class NME(BaseMetric[float | None]):
    """Mean distance of the keypoints of a face from the true ones, divided by the face's size, averaged over faces.

    Beside it: failure rates (share of faces with an error above 0.08 and above 0.10), and the area under the cumulative
    error curve up to both. All are fractions; tables print them in percent.

    What stands for the size of a face is the `nme_reference` of the scheme: the distance of the outer eye corners in
    300W, WFLW and COFW, the side of the box in AFLW. Keypoints that are not labelled do not count.
    """

    headline = "NME"
    best = min
    perfect = 0.0
    writer = PointsWriter()
    moved: ClassVar[Moved] = {"out_file": lambda value: f"give tools/test.py --out {value}"}

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> float | None:
        if truth.sizes is None:
            raise DataError(
                "the scheme does not say what the error is divided by; add nme_reference=(NAME, NAME) to the dataset's "
                '`scheme` for the distance of two keypoints, or nme_reference="box" for the side of the box'
            )
        sizes = np.asarray(truth.sizes, np.float64)
        if 0 < sizes[0] < np.inf:
            assert prediction is not None and prediction.points is not None, "every face has a crop"
            assert truth.points is not None and truth.visible is not None
            return normalised_errors(prediction.points, truth.points, truth.visible > 0, sizes).item()
        return None

    def score(self, measures: list[float | None], scheme: KeypointScheme) -> dict[str, float]:
        errors = _errors(measures)
        if sizeless := len(measures) - len(errors):
            reference = scheme.nme_reference
            what = "side of the box" if reference == "box" else f"distance of {' and '.join(reference)}"
            raise DataError(
                f"{sizeless} faces have no size to divide their error by ({what}); correct or remove them, "
                "tools/check_data.py has their ids"
            )
        if infinite := int(np.isinf(errors).sum()):
            log.warning(
                "%d of %d predictions are not finite: the errors of these faces are infinite, and so is the mean; look "
                "at the weights and at what was given to the model",
                *(infinite, len(errors)),
            )
        return summarise_errors(errors)

    def draw(self, measures: Mapping[str, list[float | None]], scheme: Scheme) -> dict[str, ndarray]:
        return {"cumulative_error": draw_cumulative_errors({n: _errors(some) for n, some in measures.items()})}


def _errors(measures: list[float | None]) -> ndarray:
    return np.array([one for one in measures if one is not None], np.float64)


def normalised_errors(predictions: ndarray, truth: ndarray, visible: ndarray, sizes: ndarray) -> ndarray:
    """Mean distance of each face's labelled keypoints from the true ones, divided by its size, [N].

    Args:
        predictions: [N, K, 2] (x, y) in pixels; a face with one that counts and is not finite has an infinite error.
        truth: [N, K, 2].
        visible: [N, K] bool, which keypoints count; a face without any has the error NaN.
        sizes: [N], in pixels.
    """
    distances = np.linalg.norm(predictions.astype(np.float64) - truth.astype(np.float64), axis=-1)
    distances = np.where(visible, np.nan_to_num(distances, nan=np.inf, posinf=np.inf), 0)
    with np.errstate(invalid="ignore"):
        return distances.sum(axis=1) / visible.sum(axis=1) / sizes


def summarise_errors(errors: ndarray) -> dict[str, float]:
    """Mean (NME), failure rates (FR) and areas under the cumulative curve (AUC) of errors [N], all as fractions."""
    numbers = {"NME": float(errors.mean())}
    for threshold in THRESHOLDS:
        numbers[f"FR@{threshold:.2f}"] = float((errors > threshold).mean())
    for threshold in THRESHOLDS:
        grid, share = cumulative_errors(errors, threshold)
        numbers[f"AUC@{threshold:.2f}"] = float(simpson(share, x=grid) / threshold)
    return numbers


def cumulative_errors(errors: ndarray, threshold: float) -> tuple[ndarray, ndarray]:
    """Share of faces with an error of at most each value of a grid from 0 to the threshold; grid [M], share [M]."""
    grid = np.linspace(0, threshold, round(threshold / CURVE_STEP) + 1)
    return grid, np.searchsorted(np.sort(errors), grid, side="right") / len(errors)


def draw_cumulative_errors(errors: Mapping[str, ndarray]) -> ndarray:
    """Draw one curve a subset, errors [N] by name, as RGB uint8 [H, W, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained", dpi=110)
    canvas = FigureCanvasAgg(figure)
    panel = figure.subplots()
    for name, values in errors.items():
        grid, share = cumulative_errors(values, THRESHOLDS[-1])
        panel.plot(grid, share, label=f"{name} ({len(values)}): NME {values.mean():.4f}", linewidth=2 - (name != "all"))
    panel.set(xlabel="normalised mean error", ylabel="share of faces", xlim=(0, THRESHOLDS[-1]), ylim=(0, 1))
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
