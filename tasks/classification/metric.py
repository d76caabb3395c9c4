"""Top-1 and top-5 accuracy, accuracy by class, and who is taken for whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from hrtoolkit.files import write_atomically
from hrtoolkit.metric import Metric
from hrtoolkit.registry import METRICS

LISTED = 20  # as many classes are told one by one; of more, the picture shows the worst


@METRICS.register_module()
class ClassificationMetric(Metric):
    """Share of images whose class has the highest score (`top1`) or is among the five highest (`top5`).

    `mean_class_accuracy` averages the top-1 accuracy of the classes that occur. Where there are at most 20, each has
    its own number, `accuracy_NAME`. With five classes or fewer, `top5` is 1. `dataset_meta` holds `class_names`, or
    None for numbers.

    Args:
        out_file: where predictions and the accuracy of every class go, as json.
        prefix: put before the names of the numbers.
    """

    headline = "top1"

    def __init__(self, out_file: str | None = None, prefix: str | None = None):
        super().__init__(prefix=prefix)
        self.out_file = out_file
        self.confusion = np.zeros((0, 0), int)  # [C, C] images by true (row) and predicted class

    def process(self, data_batch: Any, predictions: Sequence[dict]) -> None:
        """Keep the best classes of each image.

        Args:
            data_batch: not used.
            predictions: one dict an image: `index` (position in the dataset), `image_id`, `label` and `scores` [C].
        """
        scores = np.stack([p["scores"] for p in predictions])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        for prediction, row, top in zip(predictions, scores, best, strict=True):
            self.results.append(
                {
                    **{name: prediction[name] for name in ("index", "image_id", "label")},
                    "top": top.tolist(),
                    "top_scores": row[top].tolist(),
                    "num_classes": len(row),
                }
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """The accuracies, between 0 and 1."""
        count = results[0]["num_classes"]
        labels = np.array([r["label"] for r in results])
        hits = np.array([r["top"] for r in results]) == labels[:, None]  # [N, 5] or fewer
        best = np.array([r["top"][0] for r in results])
        self.confusion = np.bincount(labels * count + best, minlength=count**2).reshape(count, count)
        occurring = np.flatnonzero(self.confusion.sum(1))
        by_class = dict(zip(occurring.tolist(), self._accuracies()[occurring].tolist(), strict=True))
        metrics = {
            "top1": hits[:, 0].mean(),
            "top5": hits.any(1).mean(),
            "mean_class_accuracy": np.mean(list(by_class.values())),
        }
        if count <= LISTED:
            metrics |= {f"accuracy_{self._name(c)}": accuracy for c, accuracy in by_class.items()}
        if self.out_file is not None:
            accuracies = {self._name(c): accuracy for c, accuracy in by_class.items()}
            images = [{k: r[k] for k in ("image_id", "label", "top", "top_scores")} for r in results]
            with write_atomically(self.out_file) as file:
                file.write(json.dumps({"class_accuracy": accuracies, "images": images}))
        return metrics

    def draw(self) -> dict[str, np.ndarray]:
        """The confusion matrix, with the worst classes and the most frequent confusions beside it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
        from matplotlib.figure import Figure

        count = len(self.confusion)
        totals = self.confusion.sum(1)
        shares = self.confusion / np.maximum(totals, 1)[:, None]
        few = count <= LISTED
        names = [self._name(c)[:24] for c in range(count)]
        figure = Figure(figsize=(15, 10.5), dpi=100, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        matrix, text = figure.subplots(1, 2, width_ratios=(2.6, 1))
        # A cell has a pixel even with a thousand classes; the root lifts the rare confusions out of the dark.
        picture = matrix.imshow(np.sqrt(shares), cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        bar = figure.colorbar(picture, ax=matrix, shrink=0.6, ticks=np.sqrt([0, 0.01, 0.1, 0.25, 0.5, 1]))
        bar.ax.set_yticklabels(["0", "1 %", "10 %", "25 %", "50 %", "100 %"])
        matrix.set(xlabel="predicted class", ylabel="true class", title="share of each true class")
        if few:
            matrix.set_xticks(range(count), names, rotation=45, ha="right")
            matrix.set_yticks(range(count), names)
            for row, column in np.ndindex(count, count):
                color = "black" if shares[row, column] > 0.4 else "white"
                matrix.text(column, row, self.confusion[row, column], ha="center", va="center", color=color)
        mistakes = self.confusion - np.diag(np.diag(self.confusion))
        pairs = np.argsort(-mistakes, axis=None, kind="stable")[:20]
        pairs = [divmod(int(i), count) for i in pairs if mistakes.flat[i]]
        worst = sorted(np.flatnonzero(totals), key=self._accuracies().__getitem__)[:20]
        lines = ["accuracy  images  class (worst first)"]
        lines += [f"{self._accuracies()[c]:8.1%} {totals[c]:7d}  {names[c]}" for c in worst]
        lines += ["", "images  true > predicted (most frequent first)"]
        lines += [f"{mistakes[a, b]:6d}  {names[a]} > {names[b]}" for a, b in pairs]
        text.set_axis_off()
        text.text(0, 1, "\n".join(lines), va="top", family="monospace", fontsize=9, transform=text.transAxes)
        canvas.draw()
        return {"confusion": np.asarray(canvas.buffer_rgba())[..., :3].copy()}

    def _accuracies(self) -> np.ndarray:
        """Top-1 accuracy of each class; 0 for those that do not occur."""
        return np.diag(self.confusion) / np.maximum(self.confusion.sum(1), 1)

    def _name(self, label: int) -> str:
        names = self.dataset_meta["class_names"]
        return str(label) if names is None else names[label]
