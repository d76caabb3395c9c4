"""Learning-rate schedules, whose lengths follow that of the training.

A schedule goes to the end of the training unless it says where it ends. Lengths are whole numbers of epochs (steps with
`by_epoch=False`), or floats up to 1.0: shares of the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.optim import PolyLR
from mmengine.registry import PARAM_SCHEDULERS

LENGTHS = ("begin", "end", "T_max", "total_steps", "step_size", "milestones", "periods")
LISTS = ("milestones", "periods")


@PARAM_SCHEDULERS.register_module()
class PolynomialLR(PolyLR):
    """Learning rate times (1 - step / steps)^power; mmengine's PolyLR arrives at the end a step early."""

    def __init__(self, *args: Any, end: int, begin: int = 0, **options: Any):
        super().__init__(*args, begin=begin, end=end, **options)
        self.total_iters = end - begin


def fit_schedule(options: Mapping[str, Any], max_epochs: int, steps: int) -> tuple[dict, str | None]:
    """Turn the shares of a schedule into whole numbers, and end it with the training.

    Args:
        options: of the schedule, with lengths that `find_length_problems` has no objections to.
        max_epochs: of the training.
        steps: of an epoch.

    Returns:
        options for mmengine, and what its user should know of them.
    """
    lengths = _lengths(options)
    by_epoch, rest = options.get("by_epoch", True), {k: v for k, v in options.items() if k not in lengths}
    if by_epoch and not all(_is_whole(share * max_epochs) for share in _shares(lengths)):
        # A drop after 0.81 of 20 epochs lies within one: all lengths become steps.
        lengths = {
            key: _each(value, lambda v: v * steps if isinstance(v, int) else v) for key, value in lengths.items()
        }
        rest.pop("convert_to_iter_based", None)
        rest["by_epoch"] = by_epoch = False
    total = max_epochs if by_epoch else max_epochs * steps
    for key, value in lengths.items():
        least = {"begin": 0, "end": 2}.get(key, 1)  # mmengine's warm-up of one step never leaves its start
        lengths[key] = _each(value, lambda v, n=least: max(round(v * total), n) if isinstance(v, float) else v)
    begin, end = lengths.get("begin", 0), lengths.setdefault("end", total)
    remark = None
    if not by_epoch and begin < total < end:
        remark = (
            f"goes on until step {end}, but the training has {total} steps: set its `end`, or write it as a share of "
            "the training, such as 0.05"
        )
    elif by_epoch and (end > total or lengths.get("T_max", 0) > total - begin):
        said = [f"{key}={lengths[key]}" for key in ("end", "T_max") if key in options]
        remark = f"{' and '.join(said)}, but the training has {total} epochs: shortened to end with it"
        lengths["end"] = min(end, total)
        if "T_max" in lengths:
            lengths["T_max"] = min(lengths["T_max"], total - begin)
    return rest | lengths, remark


def find_length_problems(options: Mapping[str, Any], max_epochs: int) -> Iterator[tuple[str, str]]:
    """What cannot be meant by the lengths of a schedule.

    Args:
        options: of the schedule.
        max_epochs: of the training.

    Yields:
        the argument, and what is wrong with it.
    """
    lengths = _lengths(options)
    count = 0
    for key, value in lengths.items():
        for text in _find_bad_values(key, value):
            count += 1
            yield key, text
    if count or not options.get("by_epoch", True):
        return
    whole = {key: _each(v, lambda v: v * max_epochs if isinstance(v, float) else v) for key, v in lengths.items()}
    begin, end = whole.get("begin", 0), min(whole.get("end", max_epochs), max_epochs)
    if begin >= max_epochs:
        yield "begin", f"{begin} is not before the end of the training, which has max_epochs={max_epochs}"
    elif end <= begin:
        yield "end", f"{end} is not beyond begin={begin}"
    elif late := [v for v in (*whole.get("milestones", ()), whole.get("step_size", 0)) if v >= max_epochs]:
        yield (
            "milestones" if "milestones" in whole else "step_size",
            f"{', '.join(map(str, late))} never comes in a training of max_epochs={max_epochs}; write shares of the "
            "training, such as 0.8, to have them follow its length",
        )
    elif "T_max" in whole and begin + whole["T_max"] < end:
        yield (
            "T_max",
            f"the rate climbs again after {whole['T_max']} epochs, and the training has max_epochs={max_epochs}; leave "
            "T_max out to end with it, or write CosineRestartLR where restarts are meant",
        )
    elif whole.get("total_steps", end - begin) != end - begin:
        yield "total_steps", f"{whole['total_steps']} is not the length of the training, {end - begin}; leave it out"
    elif end < max_epochs and _ends_at_zero(options):
        yield "end", f"the rate is 0 after {end} of max_epochs={max_epochs}; leave `end` out to end with the training"


def _lengths(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: options[key] for key in LENGTHS if options.get(key) is not None}


def _find_bad_values(key: str, value: Any) -> Iterator[str]:
    if key in LISTS and not (isinstance(value, Sequence) and not isinstance(value, str) and len(value)):
        yield f"expected a list of epochs or shares, got {value!r}"
        return
    for one in value if key in LISTS else [value]:
        number = isinstance(one, int | float) and not isinstance(one, bool)
        if number and (one == 0 and key == "begin"):
            continue
        if not number or not (0 < one <= 1 if isinstance(one, float) else one > 0):
            yield f"expected a whole number from 1 on, or a share of the training up to 1.0, got {one!r}"
            return


def _ends_at_zero(options: Mapping[str, Any]) -> bool:
    kind = str(options.get("type"))
    if kind.startswith("Linear"):
        return options.get("end_factor", 1) == 0
    return kind.startswith(("Poly", "CosineAnnealing")) and not (options.get("eta_min") or options.get("eta_min_ratio"))


def _each(value: Any, function: Any) -> Any:
    return [function(one) for one in value] if isinstance(value, Sequence) else function(value)


def _shares(lengths: Mapping[str, Any]) -> list[float]:
    values = [one for value in lengths.values() for one in (value if isinstance(value, Sequence) else [value])]
    return [value for value in values if isinstance(value, float)]


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-6
