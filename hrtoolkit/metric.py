"""The base of every benchmark metric: collect per process, score once, count nobody twice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric


class Metric(BaseMetric):
    """A metric that any number of processes can share.

    A subclass implements `process(data_batch, predictions)`, which appends one dict with a unique integer `index`
    (the position of the sample in the dataset) for each prediction to `self.results`, and
    `compute_metrics(results) -> dict`, which sees the results of all processes, each index once, in order of index.
    What it needs to know of the data it finds in `self.dataset_meta`. Its `headline` names the number that decides
    which weights are best, and `best` chooses among several: `max`, or `min` where the number is an error. `perfect` is
    what the annotations themselves score.
    """

    headline: str
    best: Callable = max
    perfect = 1.0
    default_prefix = ""  # names stand alone: mmengine warns where this is None

    def evaluate(self, size: int) -> dict[str, float]:
        """Score what all processes have collected; every process gets the same numbers.

        Args:
            size: number of samples in the dataset.

        Raises:
            RuntimeError: predictions are missing for some samples of the dataset.
        """
        gathered = all_gather_object(self.results)
        self.results = []
        outcome: list = [None]
        if is_main_process():
            try:
                outcome = [self._score(gathered, size)]
            except Exception as error:  # whatever it is, the other processes must not wait for numbers for ever
                outcome = [error]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    def draw(self) -> dict[str, np.ndarray]:
        """Pictures of the last evaluation by name, RGB uint8 [H, W, 3], such as a confusion matrix; none by default.

        Called after `evaluate`, in the main process alone.
        """
        return {}

    def _score(self, gathered: list[list[dict]], size: int) -> dict[str, float]:
        by_index = {result["index"]: result for results in gathered for result in results}
        if len(by_index) != size:
            raise RuntimeError(f"{type(self).__name__}: {len(by_index)} predictions for {size} samples")
        metrics = self.compute_metrics([by_index[index] for index in sorted(by_index)])
        # Plain numbers: they go into checkpoints and json.
        return {self.full_name(name): float(value) for name, value in metrics.items()}

    def full_name(self, name: str) -> str:
        """What a number of this metric is called in results: with the prefix, where there is one."""
        return f"{self.prefix}/{name}" if self.prefix else name
