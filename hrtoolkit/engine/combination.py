"""From the numbers of several branches to the one that says which weights are best.

A mean of relative gains hides a branch that has lost much, so that every branch's gain is told beside it.
"""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hrtoolkit.build import Part, Problem
from hrtoolkit.config.values import fits
from hrtoolkit.errors import suggest
from hrtoolkit.metric import Metric

log = logging.getLogger(__name__)
DELTA = "delta_MTL"  # of Vandenhende et al., arXiv:2004.13379, Eq. 9, as a share and not in percent


class Combination:
    """What decides between weights: the headline of one loader, or the mean gain over what single tasks reach.

    Args:
        metrics: of each loader of validation data by its name, which is mostly that of a branch; the first metric has
            the headline.
        best: name of one of them, or what single tasks reach on each; None where there is but one.
    """

    def __init__(self, metrics: Mapping[str, Sequence[Metric]], best: str | Mapping[str, float] | None = None):
        judges = {name: some[0] for name, some in metrics.items()}
        self.alone = dict(best) if isinstance(best, Mapping) else {}
        self.headlines = {name: tell(name, judge.headline) for name, judge in judges.items()}
        self.signs = {name: -1 if judge.best is min else 1 for name, judge in judges.items()}
        if self.alone:
            self.headline, self.best = DELTA, max
        else:
            name = best if isinstance(best, str) else next(iter(judges))
            self.headline, self.best = self.headlines[name], judges[name].best

    def gains(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Relative gains "NAME/gain" over single tasks, above 0 where they are surpassed, and their mean; a log line.

        Args:
            numbers: as "NAME/NUMBER".
        """
        gains = {
            name: self.signs[name] * (numbers[self.headlines[name]] - alone) / abs(alone)
            for name, alone in self.alone.items()
            if self.headlines[name] in numbers
        }
        if len(gains) < len(self.alone) or not gains:
            return {}
        worst = min(gains, key=gains.__getitem__)
        told = ", ".join(f"{name} {gain:+.1%}" for name, gain in gains.items())
        mean = float(np.mean([*gains.values()]))
        log.info("against single tasks %+.1f %% (%s); the worst is %s", 100 * mean, told, worst)
        return {tell(name, "gain"): gain for name, gain in gains.items()} | {DELTA: mean}


def tell(loader: str, name: str) -> str:
    """What a number of a loader is called among those of all."""
    return f"{loader}/{name}" if loader else name


def check_best(path: str, value: Any, metrics: Mapping[str, Sequence[Part]]) -> Iterator[Problem]:
    """Check what a config says of which weights are best.

    Args:
        path: of the section.
        value: the section; None where it is missing.
        metrics: of each loader of validation data.
    """
    if isinstance(value, str | Mapping):
        for name in [value] if isinstance(value, str) else value:
            if name not in metrics:
                known = suggest(name, list(metrics)) or f"; there are {', '.join(filter(None, metrics)) or 'none'}"
                yield Problem(path, f"val_evaluator has no {name!r}{known}")
    if isinstance(value, Mapping):
        for name, alone in value.items():
            if not fits(alone, float):
                yield Problem(f"{path}.{name}", f"expected what the branch reaches alone, got {alone!r}")
            elif not alone:
                yield Problem(f"{path}.{name}", "a branch that reaches 0 alone has no relative gain; give another")
        for name in metrics.keys() - value.keys():
            yield Problem(f"{path}.{name}", "missing: what this branch reaches alone, by which its gain is told")
    elif value is None and len(metrics) > 1:
        text = "missing; name the branch whose weights are kept as best, or say what each reaches alone: "
        yield Problem(path, text + f"dict({', '.join(f'{name}=...' for name in metrics)})")
    elif value is not None and not isinstance(value, str):
        yield Problem(path, f"expected the name of a branch, or dict(BRANCH=NUMBER), got {reprlib.repr(value)}")
