"""The benchmark protocol of face alignment: normalised mean error, failure rates and the cumulative error curve."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.integrate import simpson

from hrtoolkit.errors import DataError, shorten
from hrtoolkit.files import write_atomically
from hrtoolkit.metric import Metric
from hrtoolkit.registry import METRICS

THRESHOLDS = (0.08, 0.10)
CURVE_STEP = 1e-4


@METRICS.register_module()
class NME(Metric):
    """Mean distance of the landmarks of a face from the true ones, divided by the face's size, averaged over faces.

    Beside it: failure rates (share of faces with an error above 0.08 and above 0.10), the area under the cumulative
    error curve up to both, and the same for each subset of the data. All are fractions; tables print them in percent.

    `dataset_meta` has to hold `layout`, `keypoints` [N, K, 2], `visible` [N, K] (landmarks that are not labelled do not
    count), `box_sizes` [N], `subsets` (name -> bool [N]) and `ann_file`, which messages name.

    What stands for the size of a face is the `nme_reference` of the layout: the distance of the outer eye corners in
    300W, WFLW and COFW, the side of the box in AFLW.

    Args:
        out_file: where the landmarks go, as a json list of `index`, `image_id` and `keypoints`.
        prefix: put before the names of the numbers.
    """

    headline = "NME"
    best = min
    perfect = 0.0

    def __init__(self, out_file: str | None = None, prefix: str | None = None):
        super().__init__(prefix=prefix)
        self.out_file = out_file
        self.errors: dict[str, ndarray] = {}  # of the last evaluation, by subset

    def process(self, data_batch: Any, predictions: Sequence[dict]) -> None:
        """Keep each face's `index` (position in the dataset), `image_id` and `keypoints` ([K, 2], image pixels)."""
        fields = ("index", "image_id", "keypoints")
        self.results.extend({field: face[field] for field in fields} for face in predictions)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """NME, FR and AUC of all faces, then of each subset that has any."""
        meta = self.dataset_meta
        truth = np.asarray(meta["keypoints"], np.float64)
        predictions = np.stack([face["keypoints"] for face in results]).astype(np.float64)
        if predictions.shape != truth.shape:
            raise DataError(
                f"{meta['ann_file']}: {len(truth)} faces of {truth.shape[1]} landmarks, but there are predictions of "
                f"{len(predictions)} faces with {predictions.shape[1]}; give the model's head the data's layout"
            )
        if self.out_file is not None:
            write_faces(results, self.out_file)
        errors = normalised_errors(predictions, truth, np.asarray(meta["visible"]) > 0, self._face_sizes(results))
        subsets = {name: errors[np.asarray(chosen, bool)] for name, chosen in meta["subsets"].items()}
        self.errors = {"all": errors} | {name: values for name, values in subsets.items() if len(values)}
        numbers = {}
        for name, values in self.errors.items():
            row = summarise_errors(values)
            numbers |= row if name == "all" else {f"{key} {name}": number for key, number in row.items()}
        return numbers

    def draw(self) -> dict[str, ndarray]:
        """The cumulative error curves of the last evaluation."""
        return {"cumulative_error": draw_cumulative_errors(self.errors)} if self.errors else {}

    def _face_sizes(self, results: list[dict]) -> ndarray:
        """What the error of each face is divided by, [N] pixels."""
        meta, layout = self.dataset_meta, self.dataset_meta["layout"]
        if not layout.nme_reference:
            raise DataError(
                f"{meta['ann_file']}: its layout does not say what the error is divided by; add "
                "nme_reference=(NAME, NAME) to the dataset's `layout` for the distance of two landmarks, or "
                'nme_reference="box" for the side of the box'
            )
        if layout.nme_reference == "box":
            sizes, what = np.asarray(meta["box_sizes"], np.float64), "side of the box"
        else:
            pair = [layout.names.index(name) for name in layout.nme_reference]
            first, second = np.asarray(meta["keypoints"], np.float64)[:, pair].swapaxes(0, 1)
            sizes, what = np.linalg.norm(first - second, axis=-1), f"distance of {' and '.join(layout.nme_reference)}"
            unlabelled = ~(np.asarray(meta["visible"])[:, pair] > 0).all(axis=1)
            sizes = np.where(unlabelled, 0.0, sizes)
        if len(empty := np.flatnonzero(sizes <= 0)):
            ids = shorten([results[face]["image_id"] for face in empty])
            raise DataError(
                f"{meta['ann_file']}: {len(empty)} faces have no size to divide their error by ({what}), in {ids}; "
                "correct or remove them"
            )
        return sizes


def normalised_errors(predictions: ndarray, truth: ndarray, visible: ndarray, sizes: ndarray) -> ndarray:
    """Mean distance of each face's labelled landmarks from the true ones, divided by its size, [N].

    Args:
        predictions: [N, K, 2] (x, y) in pixels.
        truth: [N, K, 2].
        visible: [N, K] bool, which landmarks count; a face without any has the error NaN.
        sizes: [N], in pixels.
    """
    distances = np.linalg.norm(predictions - truth, axis=-1)
    with np.errstate(invalid="ignore"):
        return (distances * visible).sum(axis=1) / visible.sum(axis=1) / sizes


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


def draw_cumulative_errors(errors: dict[str, ndarray]) -> ndarray:
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


def write_faces(faces: Sequence[dict], path: str) -> None:
    """Write `index`, `image_id` and `keypoints` of each face as json."""
    records = [{**face, "keypoints": np.asarray(face["keypoints"], np.float64).tolist()} for face in faces]
    with write_atomically(path) as file:
        file.write(json.dumps(records))
