"""Check a whole config before anything is built: every argument against the signature of what will receive it."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmengine import registry as mm
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from hrtoolkit.config.load import ConfigError, config_name
from hrtoolkit.config.values import (
    DATALOADERS,
    find_datasets,
    find_parameters,
    fits,
    is_sequence,
    resolve_type,
    suggest,
)
from hrtoolkit.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper")


def check_config(config: Config, files: bool = True) -> None:
    """Check everything in a config against the signature of what will receive it; nothing is built.

    Args:
        config: as loaded.
        files: also look whether data and checkpoints are there.

    Raises:
        ConfigError: with every problem; what is wrong in the same way in several places is one problem.
    """
    paths: dict[str, list[str]] = {}
    for path, text in [*_check_sections(config), *(_check_files(config) if files else ())]:
        paths.setdefault(text, []).append(path)
    if paths:
        raise ConfigError(config_name(config), [f"{', '.join(where)}: {text}" for text, where in paths.items()])


# Every function yields problems as (path in the config, what is wrong there)


class _Rule(NamedTuple):
    """How a dict of a config becomes a call."""

    registry: mm.Registry | None = None  # knows the names that `type` may have
    nested: bool = False  # its arguments may be parts of the same registry
    hidden: tuple[str, ...] = ()  # arguments that only the builder passes
    optional: tuple[str, ...] = ()  # arguments that the builder passes where the config does not
    extra: tuple[str, ...] = ()  # keys that the builder takes for itself


_MODEL = _Rule(MODELS, nested=True, optional=("in_channels", "in_strides"))
_DATASET = _Rule(DATASETS, nested=True)
_TRANSFORM = _Rule(TRANSFORMS, nested=True)
_METRIC = _Rule(METRICS)
_HOOK = _Rule(HOOKS, extra=("priority",))
_OPTIMIZER = _Rule(mm.OPTIMIZERS, hidden=("params",))
_OPTIM_WRAPPER = _Rule(hidden=("precision",), extra=("constructor", "paramwise_cfg"))
# LinearLR and its kin fill in `param_name`, LinearParamScheduler and its kin ask for it.
_SCHEDULER = _Rule(
    mm.PARAM_SCHEDULERS, hidden=("optimizer",), optional=("param_name",), extra=("convert_to_iter_based",)
)
_BY_KEY = {"transform": _TRANSFORM, "transforms": _TRANSFORM, "dataset": _DATASET, "datasets": _DATASET}


def _check_sections(config: Config) -> Iterator[tuple[str, str]]:
    import mmengine.hooks  # noqa: F401 (fills mmengine's registry)

    from hrtoolkit.data.loading import build_dataloader
    from hrtoolkit.engine.loop import TrainLoop  # not at the top: the engine and the model load configs themselves
    from hrtoolkit.engine.optim import DeviceOptimWrapper
    from hrtoolkit.model import Model

    # Who receives a section, by which rule, and which of its keys hold parts.
    runtime = [p.name for p in inspect.signature(build_dataloader).parameters.values() if p.kind is p.KEYWORD_ONLY]
    sections = {
        "custom_imports": (import_modules_from_strings, _Rule(), {}),
        "model": (
            Model,
            _Rule(optional=("neck", "augment", "inference")),
            dict.fromkeys(("backbone", "neck", "head", "augment", "inference"), _MODEL),
        ),
        **dict.fromkeys(DATALOADERS, (build_dataloader, _Rule(hidden=tuple(runtime)), {"dataset": _DATASET})),
        "train_cfg": (TrainLoop, _Rule(hidden=("runner", "dataloader")), {}),
        "optim_wrapper": (DeviceOptimWrapper, _OPTIM_WRAPPER, {"optimizer": _OPTIMIZER}),
    }
    parts = {"val_evaluator": _METRIC, "test_evaluator": _METRIC, "param_scheduler": _SCHEDULER, "custom_hooks": _HOOK}
    plain = {"load_from": str, "work_dir": str, "seed": int, "base_batch_size": int, "sync_batchnorm": bool}

    present = {name for name, value in config.items() if value is not None}
    for name, value in config.items():
        if name not in (*sections, *parts, *plain):
            yield name, f"a config has no {name!r}{suggest(name, [*sections, *parts, *plain])}"
        elif value is None:
            continue
        elif name in sections:
            yield from _check_section(name, value, *sections[name])
        elif name in parts:
            for path, part in (
                [(f"{name}.{i}", p) for i, p in enumerate(value)] if is_sequence(value) else [(name, value)]
            ):
                yield from _check_part(path, part, parts[name])
        elif not fits(value, plain[name]):
            yield name, f"expected {plain[name].__name__}, got {value!r}"

    if "model" not in present:
        yield "model", "missing"
    for name in TRAINING:
        if name not in present and present.intersection(TRAINING):
            yield name, f"missing; {', '.join(TRAINING)} come together or not at all"
    if "val_dataloader" in present and "val_evaluator" not in present:
        yield "val_evaluator", "missing; val_dataloader needs it"


def _check_section(path: str, value: Any, target: Any, rule: _Rule, parts: dict[str, _Rule]):
    if not isinstance(value, dict):
        yield path, f"expected a dict, got {reprlib.repr(value)}"
        return
    if rule.registry is not None and "type" in value:
        yield from _check_part(path, value, rule)
    else:
        yield from _check_arguments(path, value, target, rule, path)
    for key, part_rule in parts.items():
        if key in value and not (value[key] is None and key in rule.optional):
            yield from _check_part(f"{path}.{key}", value[key], part_rule)


def _check_part(path: str, value: Any, rule: _Rule):
    """Check what a registry builds, and the parts inside it."""
    if not isinstance(value, dict) or "type" not in value:
        yield path, f"expected dict(type=...), got {reprlib.repr(value)}"
        return
    target = resolve_type(value["type"], rule.registry)
    if target is None:
        registries = [rule.registry, rule.registry.parent] if rule.registry.parent else [rule.registry]
        known = [name for registry in registries for name in registry.module_dict]
        hint = suggest(str(value["type"]), known) or "; is its package in custom_imports?"
        yield f"{path}.type", f"there is no {rule.registry.name} {value['type']!r}{hint}"
    else:
        options = {key: item for key, item in value.items() if key not in ("type", "_scope_")}
        yield from _check_arguments(path, options, target, rule, getattr(target, "__name__", str(target)))
    for key, item in value.items():
        yield from _check_inside(f"{path}.{key}", item, _BY_KEY.get(key, rule if rule.nested else None))


def _check_inside(path: str, value: Any, rule: _Rule | None):
    """Check the parts in an argument; what has no `type` is data, which may hold parts in turn."""
    if rule is None or not (isinstance(value, dict) or is_sequence(value)):
        return
    if isinstance(value, dict) and "type" in value:
        yield from _check_part(path, value, rule)
    else:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _check_inside(f"{path}.{key}", item, _BY_KEY.get(key, rule))


def _check_arguments(path: str, options: dict, target: Any, rule: _Rule, name: str):
    parameters, takes_any = find_parameters(target)
    allowed = [key for key in parameters if key not in rule.hidden] + list(rule.extra)
    for key, value in options.items():
        if key not in allowed:
            if not takes_any or key in rule.hidden:
                known = suggest(key, allowed) or f"; it takes {', '.join(allowed) or 'none'}"
                yield f"{path}.{key}", f"{name} has no argument {key!r}{known}"
        elif key in parameters:
            default, hint, spelled = parameters[key]
            if not (value is default or fits(value, hint)):
                yield f"{path}.{key}", f"expected {spelled}, got {reprlib.repr(value)}"
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in (*options, *rule.hidden, *rule.optional):
            yield path, f"{name} needs {key!r}"


def _check_files(config: Config):
    for path, options, parameters in find_datasets(config):
        target = resolve_type(options.get("type"), DATASETS)
        values = {**{key: p.default for key, p in parameters.items() if isinstance(p.default, str)}, **options}
        root = Path(values.get("data_root") or "")
        how_to_get = f"; {target.how_to_get}" if hasattr(target, "how_to_get") else ""
        if not root.is_dir():
            yield f"{path}.data_root", f"no folder {root}{how_to_get}"
            continue
        for key, value in values.items():
            if key.endswith(("_file", "_dir")) and isinstance(value, str | Path):
                yield from _check_file(f"{path}.{key}", root, value, how_to_get)
    start = config.get("load_from")
    if isinstance(start, str) and not start.startswith("timm/") and "://" not in start:
        yield from _check_file("load_from", Path(), start)


def _check_file(path: str, root: Path, value: str | Path, how_to_get: str = ""):
    file = root / value
    if path.endswith("_dir"):
        # The older official layout keeps the image folders in `images`.
        found = file.is_dir() or (path.endswith(".image_dir") and (root / "images" / value).is_dir())
    else:
        found = file.is_file()
    if not found:
        near = suggest(file.name, [p.name for p in file.parent.iterdir()]) if file.parent.is_dir() else ""
        yield path, f"no {'folder' if path.endswith('_dir') else 'file'} {file}{near or how_to_get}"
