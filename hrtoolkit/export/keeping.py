"""Which parts of a network stay in float32, so that int8 costs no more accuracy than it may."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import UserError, shorten
from hrtoolkit.export.quantise import Int8

log = logging.getLogger(__name__)

COMPARED = 8  # inputs, when groups are ranked
# Outputs that show an error best, of which a branch has one: boxes and labels change places with their scores.
RAW_OUTPUTS = ("heatmaps", "logits", "scores")


@dataclass
class Kept:
    """What came of a search.

    Args:
        groups: in float32, the worst first.
        loss: with these, in points of the metric.
        tried: how many of the worst groups were kept, and what was lost.
        errors: of the outputs where one group alone is in int8, relative, the worst first; empty where all may be.
    """

    groups: list[str] = field(default_factory=list)
    loss: float = 0.0
    tried: list[tuple[int, float]] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)


def quantise_within(network: Int8, out: Path, measure: Callable[[Path], float], budget: float) -> Kept:
    """Write a network in int8, with as few groups in float32 as the budget asks for.

    Groups are ranked by the error of the outputs where each alone is in int8, on a few inputs; how many of the worst
    are kept is settled by the metric.

    Args:
        network: calibrated.
        out: see `Int8.write`.
        measure: points of the metric that a file loses; below 0 it is better.
        budget: how many it may lose.

    Raises:
        UserError: it loses more with all groups but the least harmful one in float32; nothing is left at `out`.
    """
    found = Kept()

    def holds(count: int) -> bool:
        network.write(out, worst[:count])
        loss = measure(out)
        found.tried.append((count, loss))
        names = f"{count} groups in float32 ({shorten(worst[:count], 3)})" if count else "all groups in int8"
        log.info("%s: %.2f points lost, %.2f allowed", names, loss, budget)
        return loss <= budget  # not so if it is NaN

    worst: list[str] = []
    if not holds(0):
        found.errors = rank_groups(network)
        worst = list(found.errors)
        count = find_fewest(holds, len(worst) - 1)
        if count is None:
            for file in (out, out.with_suffix(".bin")):
                file.unlink(missing_ok=True)
            raise UserError(
                f"int8 loses {found.tried[-1][1]:.2f} points even where {worst[-1]} alone is in int8, and {budget:g} "
                "are allowed: export in another precision, or allow more (--budget)"
            )
        found.groups = worst[:count]
        if found.tried[-1][0] != count:
            network.write(out, found.groups)
    found.loss = next(loss for count, loss in found.tried if count == len(found.groups))
    return found


def rank_groups(network: Int8) -> dict[str, float]:
    """The error of the outputs with one group alone in int8, relative to them, the worst first."""
    inputs = network.inputs[:: max(1, len(network.inputs) // COMPARED)][:COMPARED]
    expected = network.run(network.model, inputs)
    errors = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"one{network.suffix}"
        for group in network.groups:
            network.write(path, [other for other in network.groups if other != group])
            errors[group] = relative_error(network.run(path, inputs), expected)
            log.info("%s alone in int8: the outputs change by %.2g of their size", group, errors[group])
    return dict(sorted(errors.items(), key=lambda one: -one[1]))


def relative_error(outputs: Sequence[dict[str, ndarray]], expected: Sequence[dict[str, ndarray]]) -> float:
    """Root mean square of the differences over that of what is expected; infinite where something is not finite.

    Of several branches, whose outputs are "BRANCH.OUTPUT", that of the worst.
    """
    branches = dict.fromkeys(name.rpartition(".")[0] for name in expected[0])
    return max(_error_of_branch(outputs, expected, branch) for branch in branches)


def _error_of_branch(
    outputs: Sequence[dict[str, ndarray]], expected: Sequence[dict[str, ndarray]], branch: str
) -> float:
    own = {one.rpartition(".")[2]: one for one in expected[0] if one.rpartition(".")[0] == branch}
    name = next((own[raw] for raw in RAW_OUTPUTS if raw in own), next(iter(own.values())))
    differences = sum(float(np.square(a[name] - b[name]).sum()) for a, b in zip(outputs, expected, strict=True))
    size = sum(float(np.square(b[name]).sum()) for b in expected)
    return (differences / size) ** 0.5 if np.isfinite(differences) and size else float("inf")


def find_fewest(holds: Callable[[int], bool], most: int) -> int | None:
    """The smallest count from 1 to `most` that holds, if larger ones hold where a smaller one does; None if none does.

    Doubling, then halving the last step: `holds` is slow, and few are enough most of the time.
    """
    failing, count = 0, min(1, most)
    while count > failing and not holds(count):
        failing, count = count, min(2 * count, most)
    if count == failing:
        return None
    while count - failing > 1:
        middle = (failing + count) // 2
        failing, count = (failing, middle) if holds(middle) else (middle, count)
    return count
