"""Top-1 and top-5 accuracy, accuracy by class, and who is taken for whom."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from hrtoolkit.files import write_atomically
from hrtoolkit.metric import BaseMetric, BaseWriter, Writer
from hrtoolkit.records import Category, Record
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import ClassScheme, Scheme

log = logging.getLogger(__name__)

LISTED = 20  # up to so many classes have numbers of their own; of more, the picture shows the worst
BEST = 5


class Ranking(NamedTuple):
    """What scoring needs of an image."""

    label: int  # the true class
    top: tuple[int, ...]  # up to five classes, the highest score first; all `classes` where scores are not finite
    classes: int  # how many there are


class RankingWriter(BaseWriter):
    """A json file with the best classes of each image and their scores."""

    def pack(self, path: str, sample_id: int | str, record: Record, scheme: Scheme) -> list[dict]:
        assert isinstance(record, Category) and isinstance(scheme, ClassScheme)
        entry = {"image_id": sample_id, "class": _name(scheme, record.label)}
        if record.class_scores is None:
            return [entry]
        if not np.isfinite(record.class_scores).all():  # which json does not know
            return [entry | {"class": None, "top": [], "top_scores": []}]
        top = _best(record.class_scores)
        return [entry | {"top": top.tolist(), "top_scores": record.class_scores[top].tolist()}]

    def write(self, path: str, packed: list) -> None:
        text = json.dumps({"images": packed})
        with write_atomically(path, size=len(text)) as file:
            file.write(text)


@METRICS.register_module()
class ClassificationMetric(BaseMetric[Ranking | None]):
    """Share of images whose class has the highest score (`top1`) or is among the five highest (`top5`).

    `mean_class_accuracy` averages the top-1 accuracy of the classes that occur. Where there are at most 20, each has
    its own number, `accuracy_NAME`. With five classes or fewer, `top5` is 1.
    """

    moved = MappingProxyType({"out_file": lambda value: f"write predictions with tools/test.py --out {value}"})
    headline = "top1"
    writer: Writer | None = RankingWriter()

    def measure(self, prediction: Category | None, truth: Category | None, scheme: ClassScheme) -> Ranking | None:
        """The best classes of an image.

        Args:
            prediction: see `Metric`.
            truth: see `Metric`.
            scheme: see `Metric`.
        """
        if prediction is None or truth is None:
            return None
        if prediction.class_scores is None:
            return Ranking(truth.label, (prediction.label,), len(scheme.names))
        count, top = len(prediction.class_scores), _best(prediction.class_scores)
        if not np.isfinite(prediction.class_scores).all():  # missed: no class has this number
            top = np.full_like(top, count)
        return Ranking(truth.label, tuple(top.tolist()), count)

    def score(self, measures: list[Ranking | None], scheme: ClassScheme) -> dict[str, float]:
        """The accuracies, between 0 and 1.

        Args:
            measures: see `Metric`.
            scheme: see `Metric`.
        """
        known = [measure for measure in measures if measure is not None]
        if not known:
            return {}
        if missed := sum(m.top[0] == m.classes for m in known):
            log.warning(
                "%d of %d images have scores that are NaN or infinite and count as missed: are the weights finite?",
                *(missed, len(known)),
            )
        hits = np.array([m.top for m in known]) == np.array([m.label for m in known])[:, None]  # [N, 5] or fewer
        confusion = count_confusions(known)
        occurring = np.flatnonzero(confusion.sum(1))
        by_class = _accuracies(confusion)[occurring]
        scores = {
            "top1": hits[:, 0].mean(),
            "top5": hits.any(1).mean(),
            "mean_class_accuracy": by_class.mean(),
        }
        if len(confusion) <= LISTED:
            several = zip(occurring.tolist(), by_class, strict=True)
            scores |= {f"accuracy_{_name(scheme, c)}": value for c, value in several}
        return scores

    def draw(self, measures: Mapping[str, list[Ranking | None]], scheme: Scheme) -> dict[str, np.ndarray]:
        """The confusion matrix, with the worst classes and the most frequent confusions beside it."""
        assert isinstance(scheme, ClassScheme)
        known = [measure for measure in measures["all"] if measure is not None]
        return {"confusion": draw_confusions(count_confusions(known), scheme)} if known else {}


def count_confusions(measures: list[Ranking]) -> np.ndarray:
    """Images by true (row) and predicted class, int64 [C, C + 1]; the last column is of those that were missed.

    Args:
        measures: one at least.
    """
    count = measures[0].classes
    cells = [m.label * (count + 1) + m.top[0] for m in measures]
    return np.bincount(cells, minlength=count * (count + 1)).reshape(count, count + 1)


def draw_confusions(confusion: np.ndarray, scheme: ClassScheme) -> np.ndarray:
    """Draw the shares of each true class, its worst ones and the most frequent confusions, RGB uint8 [1050, 1500, 3].

    Args:
        confusion: see `count_confusions`.
        scheme: names the classes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    count = len(confusion)
    totals, accuracies, missed = confusion.sum(1), _accuracies(confusion), confusion[:, -1].sum()
    confusion = confusion[:, :count]
    shares = confusion / np.maximum(totals, 1)[:, None]
    names = [_name(scheme, c)[:24] for c in range(count)]
    figure = Figure(figsize=(15, 10.5), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    matrix, text = figure.subplots(1, 2, width_ratios=(2.6, 1))
    # A cell has a pixel even with a thousand classes; the root lifts the rare confusions out of the dark.
    picture = matrix.imshow(np.sqrt(shares), cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    bar = figure.colorbar(picture, ax=matrix, shrink=0.6, ticks=np.sqrt([0, 0.01, 0.1, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "1 %", "10 %", "25 %", "50 %", "100 %"])
    matrix.set(xlabel="predicted class", ylabel="true class", title="share of each true class")
    if count <= LISTED:
        matrix.set_xticks(range(count), names, rotation=45, ha="right")
        matrix.set_yticks(range(count), names)
        for row, column in np.ndindex(count, count):
            color = "black" if shares[row, column] > 0.4 else "white"
            matrix.text(column, row, confusion[row, column], ha="center", va="center", color=color)
    mistakes = confusion - np.diag(np.diag(confusion))
    frequent = np.argsort(-mistakes, axis=None, kind="stable")[:20]
    pairs = [divmod(int(i), count) for i in frequent if mistakes.flat[i]]
    worst = sorted(np.flatnonzero(totals), key=accuracies.__getitem__)[:20]
    lines = ["accuracy  images  class (worst first)"]
    lines += [f"{accuracies[c]:8.1%} {totals[c]:7d}  {names[c]}" for c in worst]
    lines += ["", "images  true > predicted (most frequent first)"]
    lines += [f"{mistakes[a, b]:6d}  {names[a]} > {names[b]}" for a, b in pairs]
    lines += ["", f"{missed:6d}  missed: scores that are not finite"] if missed else []
    text.set_axis_off()
    text.text(0, 1, "\n".join(lines), va="top", family="monospace", fontsize=9, transform=text.transAxes)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _best(class_scores: np.ndarray) -> np.ndarray:
    return np.argsort(-class_scores, kind="stable")[:BEST]


def _accuracies(confusion: np.ndarray) -> np.ndarray:
    """Top-1 accuracy of each class; 0 for those that do not occur."""
    return np.diag(confusion) / np.maximum(confusion.sum(1), 1)


def _name(scheme: ClassScheme, label: int) -> str:
    """What a class is called; data of numbered classes may know fewer than the network does."""
    return scheme.names[label] if label < len(scheme.names) else str(label)
