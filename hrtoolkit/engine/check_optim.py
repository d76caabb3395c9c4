"""Check what updates the weights: the optimiser, its options by parameter, and the schedules of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mmengine.registry as mm
import torch
from torch import nn

from hrtoolkit.build import Part, Problem, check_call, find_part
from hrtoolkit.config.values import fits
from hrtoolkit.engine.aggregation import AGGREGATORS, build_aggregator
from hrtoolkit.engine.optim import DeviceOptimWrapper
from hrtoolkit.engine.schedules import LISTS, find_length_problems, fit_schedule
from hrtoolkit.errors import UserError, suggest
from hrtoolkit.ranges import Count

# mmengine reads them by name and passes over what it does not know.
PARAMWISE = (
    *("custom_keys", "bias_lr_mult", "bias_decay_mult", "norm_decay_mult", "flat_decay_mult", "dwconv_decay_mult"),
    *("dcn_offset_lr_mult", "bypass_duplicate"),
)
STEPS = 1000  # of an epoch, whose true number is known when the data is


def check_optim(config: Mapping[str, Any], problems: list[Problem]) -> None:
    """Check `optim_wrapper` and `param_scheduler`; where their arguments are right, they are tried out.

    Args:
        config: the sections that are there.
        problems: is told what is wrong.
    """
    count = len(problems)
    wrapper, schedules = config.get("optim_wrapper"), config.get("param_scheduler")
    if not isinstance(wrapper, Mapping):
        return
    wrapper = dict(wrapper)
    problems += _check_aggregator("optim_wrapper.aggregator", wrapper.pop("aggregator", None), config.get("model"))
    part = _check_optimizer("optim_wrapper", wrapper, problems)
    if config.get("base_batch_size") is not None and part is not None and "lr" not in part.parts["optimizer"].options:
        problems.append(Problem("optim_wrapper.optimizer", "needs 'lr', which base_batch_size scales"))
    train_cfg = config.get("train_cfg")
    max_epochs: Any = train_cfg.get("max_epochs") if isinstance(train_cfg, Mapping) else None
    if not fits(max_epochs, Count):
        return
    named = {"param_scheduler": schedules}
    if isinstance(schedules, Sequence) and not isinstance(schedules, str):
        named = {f"param_scheduler.{i}": one for i, one in enumerate(schedules)}
    found = [check_schedule(path, one, max_epochs, problems) for path, one in named.items() if one is not None]
    lr: Any = part.parts["optimizer"].options.get("lr") if part is not None else None
    sound = [one for one in found if one is not None]
    for one in sound:
        least: Any = one.options.get("eta_min")
        if fits(least, float) and fits(lr, float) and 0 < lr <= least:
            problems.append(Problem(f"{one.path}.eta_min", f"{least} is no less than optim_wrapper.optimizer.lr={lr}"))
    if part is not None and len(problems) == count:
        problems += _try_out(part, sound)


def _check_optimizer(path: str, value: dict, problems: list[Problem]) -> Part | None:
    optimizer, paramwise, clip = value.pop("optimizer", None), value.get("paramwise_cfg"), value.get("clip_grad")
    part = check_call(
        path,
        value,
        DeviceOptimWrapper,
        problems,
        hidden=("precision",),
        given=("optimizer",),
        extra=("constructor", "paramwise_cfg", "optimizer", "aggregator"),
        name=path,
    )
    for where, number in _numbers(path, value | {"optimizer": optimizer}):
        if math.isnan(number) or (math.isinf(number) and "clip_grad" not in where):
            problems.append(Problem(where, f"expected a number, got {number}"))
    if isinstance(optimizer, Mapping):  # not all optimisers look
        lr, decay = optimizer.get("lr", 1.0), optimizer.get("weight_decay", 0.0)
        if fits(lr, float) and lr <= 0:
            problems.append(Problem(f"{path}.optimizer.lr", f"expected a number above 0, got {lr}"))
        if fits(decay, float) and decay < 0:
            problems.append(Problem(f"{path}.optimizer.weight_decay", f"expected a number from 0 on, got {decay}"))
    if isinstance(clip, Mapping):
        for key in ("max_norm", "clip_value"):
            if key in clip and not (fits(clip[key], float) and clip[key] > 0):
                problems.append(Problem(f"{path}.clip_grad.{key}", f"expected a number above 0, got {clip[key]!r}"))
    elif clip is not None:
        problems.append(Problem(f"{path}.clip_grad", f"expected a dict such as dict(max_norm=1.0), got {clip!r}"))
    if paramwise is not None and "constructor" not in value:
        problems += _check_paramwise(f"{path}.paramwise_cfg", paramwise)
    inner = find_part(f"{path}.optimizer", optimizer, mm.OPTIMIZERS, problems, hidden=("params",))
    if inner is None:
        return None
    part.parts["optimizer"] = inner
    return part


def _check_aggregator(path: str, name: Any, model: Any) -> Iterator[Problem]:
    if name is None:
        return
    if name not in AGGREGATORS:
        known = suggest(str(name), AGGREGATORS) or f"; there are {', '.join(AGGREGATORS)}"
        yield Problem(path, f"there is no aggregator {name!r}{known}")
        return
    if isinstance(model, Mapping) and len(model.get("branches") or ()) < 2:
        yield Problem(path, "combines the gradients of several model.branches; leave it out")
    try:
        build_aggregator(name)
    except UserError as error:
        yield Problem(path, str(error))


def _check_paramwise(path: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(path, f"expected a dict, got {value!r}")
        return
    for key in value:
        if key not in PARAMWISE:
            known = suggest(key, PARAMWISE) or f"; it takes {', '.join(PARAMWISE)}"
            yield Problem(f"{path}.{key}", f"paramwise_cfg has no {key!r}{known}")
    custom = value.get("custom_keys") or {}
    if not isinstance(custom, Mapping) or not all(isinstance(one, Mapping) for one in custom.values()):
        yield Problem(f"{path}.custom_keys", f"expected dict(NAME=dict(lr_mult=...)), got {custom!r}")
        return
    for name, options in custom.items():
        for key in options:
            if key not in ("lr_mult", "decay_mult"):
                yield Problem(f"{path}.custom_keys.{name}.{key}", f"takes lr_mult and decay_mult, got {key!r}")
    for where, number in _numbers(path, value):
        if number < 0:
            yield Problem(where, f"expected a number from 0 on, got {number}")


def check_schedule(path: str, value: Any, max_epochs: int, problems: list[Problem]) -> Part | None:
    """Check a schedule of the learning rate, whose part has its lengths in whole epochs or steps."""
    if isinstance(value, Mapping):
        wrong = dict(find_length_problems(value, max_epochs))
        problems += [Problem(f"{path}.{key}", text) for key, text in wrong.items()]
        value = {key: ([1] if key in LISTS else 1) if key in wrong else item for key, item in value.items()}
        if not wrong:
            value, _ = fit_schedule(value, max_epochs, STEPS)
        for key in ("gamma", "power"):
            if fits(value.get(key), float) and value[key] <= 0:
                problems.append(Problem(f"{path}.{key}", f"expected a number above 0, got {value[key]}"))
        if str(value.get("type")).startswith("ReduceOnPlateau"):
            text = "goes by earlier scores, which a resumed run does not know; take one that follows the epochs"
            problems.append(Problem(path, f"{value['type']} {text}"))
    # LinearLR and its kin fill in `param_name`, LinearParamScheduler and its kin ask for it.
    names = {"hidden": ("optimizer",), "given": ("param_name",), "extra": ("convert_to_iter_based",)}
    return find_part(path, value, mm.PARAM_SCHEDULERS, problems, **names)


def _try_out(wrapper: Part, schedules: Sequence[Part]) -> Iterator[Problem]:
    """Build all on a single parameter and take a step: torch and mmengine then say what they refuse."""
    path = f"{wrapper.path}.optimizer"
    parameter = nn.Parameter(torch.ones(2))
    try:
        optimizer = wrapper.parts["optimizer"].target([parameter], **wrapper.parts["optimizer"].options)
        path = wrapper.path
        options = {k: v for k, v in wrapper.options.items() if k not in ("constructor", "paramwise_cfg")}
        built = DeviceOptimWrapper(optimizer, **options)
        for part in schedules:
            path = part.path
            part.target(optimizer=built, **{k: v for k, v in part.options.items() if k != "convert_to_iter_based"})
        path = f"{wrapper.path}.clip_grad" if wrapper.options.get("clip_grad") else wrapper.path
        parameter.grad = torch.ones(2)
        built.step()
    except Exception as error:  # whatever their own checks raise
        yield Problem(path, str(error) or type(error).__name__)


def _numbers(path: str, value: Any) -> Iterator[tuple[str, float]]:
    """All numbers in a section, by their paths."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(f"{path}.{key}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _numbers(f"{path}.{index}", item)
    elif isinstance(value, int | float):
        yield path, value
