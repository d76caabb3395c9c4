"""Check a whole config before anything is built, and keep the parts that were found."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.utils import import_modules_from_strings

from hrtoolkit.build import ModelPlan, Part, Problem, check_call, find_part, plan_model, raise_problems
from hrtoolkit.config.load import config_name
from hrtoolkit.config.values import DATALOADERS, find_datasets, fits, is_sequence, resolve_type, spell
from hrtoolkit.data.loading import build_dataloader
from hrtoolkit.engine.check_optim import check_optim
from hrtoolkit.engine.loop import TrainLoop
from hrtoolkit.errors import UserError, suggest
from hrtoolkit.files import CONFIG_FILE
from hrtoolkit.published import NAME
from hrtoolkit.ranges import Count, Seed
from hrtoolkit.registry import AUGMENTATIONS, DATASETS, HOOKS, METRICS
from hrtoolkit.views import BaseView, replace_transform
from hrtoolkit.weights import stands_for

TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper")
EVALUATORS = ("val_evaluator", "test_evaluator")
PLAIN = {"work_dir": str, "seed": Seed, "base_batch_size": Count, "sync_batchnorm": bool}
RUNTIME = tuple(p.name for p in inspect.signature(build_dataloader).parameters.values() if p.kind is p.KEYWORD_ONLY)


@dataclass
class Plan:
    """What a config asks for, checked.

    Args:
        model: its parts.
        datasets: of each dataloader that the config has.
        augmentation: of the training data.
        metrics: of each evaluator that the config has.
    """

    model: ModelPlan
    datasets: dict[str, Part] = field(default_factory=dict)
    augmentation: Part | None = None
    metrics: dict[str, list[Part]] = field(default_factory=dict)


def check_config(config: Config, files: bool = True) -> Plan:
    """Check everything in a config against the signature of what will receive it; nothing is built.

    Args:
        config: as loaded.
        files: also look whether data and checkpoints are there.

    Raises:
        ConfigError: with every problem; what is wrong in the same way in several places is one problem.
    """
    problems: list[Problem] = []
    plan = _plan_sections(config, problems)
    if files:
        problems += _check_files(config)
    raise_problems(config_name(config), problems)
    return plan


def _plan_sections(config: Config, problems: list[Problem]) -> Plan:
    readers = {
        "custom_imports": lambda name, value: check_call(name, value, import_modules_from_strings, problems, name=name),
        "train_cfg": lambda name, value: check_call(
            name, value, TrainLoop, problems, hidden=("runner", "dataloader"), name=name
        ),
        "optim_wrapper": lambda name, value: None,  # seen to with the schedules, below
        "param_scheduler": lambda name, value: None,
        "custom_hooks": lambda name, value: _check_list(
            name, value, partial(_check_hook, config.get("train_cfg")), problems
        ),
        "load_from": lambda name, value: _check_start(name, value, problems),
        "recipes": lambda name, value: _check_recipes(name, value, known, problems),
    }
    known: tuple[str, ...] = ("model", *DATALOADERS, *EVALUATORS, *readers, *PLAIN)
    present = {name: value for name, value in config.items() if value is not None}
    planned = plan_model(present["model"], problems) if "model" in present else None
    plan = Plan(planned)  # type: ignore[arg-type]  # without a model there are problems, and nobody sees this
    if "model" not in present:
        problems.append(Problem("model", "missing"))
    for name, value in config.items():
        if name not in known:
            problems.append(Problem(name, f"a config has no {name!r}{suggest(name, known)}"))
        elif value is None or name == "model":
            continue
        elif name in DATALOADERS:
            _plan_loader(name, value, plan, problems)
        elif name in EVALUATORS:
            plan.metrics[name] = _check_list(name, value, _find_metric, problems)
            if is_sequence(value) and not value:
                problems.append(Problem(name, "has no metric"))
        elif name in PLAIN:
            if not fits(value, PLAIN[name]):
                problems.append(Problem(name, f"expected {spell(PLAIN[name])}, got {value!r}"))
        elif name in ("custom_imports", "train_cfg", "optim_wrapper") and not isinstance(value, Mapping):
            problems.append(Problem(name, f"expected a dict, got {reprlib.repr(value)}"))
        else:
            readers[name](name, value)
    check_optim(present, problems)
    for name in TRAINING:
        if name not in present and set(present).intersection(TRAINING):
            problems.append(Problem(name, f"missing; {', '.join(TRAINING)} come together or not at all"))
    if "val_dataloader" in present and "val_evaluator" not in present:
        problems.append(Problem("val_evaluator", "missing; val_dataloader needs it"))
    if plan.model is not None:
        problems += _check_agreement(plan, present)
    return plan


def _plan_loader(name: str, value: Any, plan: Plan, problems: list[Problem]) -> None:
    """A dataloader: its own arguments, its dataset, and the augmentation of training data."""
    if not isinstance(value, Mapping):
        problems.append(Problem(name, f"expected a dict, got {reprlib.repr(value)}"))
        return
    value = dict(value)
    dataset, augmentation = value.pop("dataset", None), value.pop("augmentation", None)
    extra = ("dataset", "augmentation") if name == "train_dataloader" else ("dataset",)
    hidden = ("inputs", *RUNTIME)
    check_call(name, value, build_dataloader, problems, hidden=hidden, extra=extra, roles={}, name=name)
    if isinstance(dataset, Mapping) and "transform" in dataset:
        text = f"a data set has no 'transform' any more; {replace_transform(dataset['transform'])}"
        problems.append(Problem(f"{name}.dataset.transform", text))
        dataset = {k: v for k, v in dataset.items() if k != "transform"}
    part = find_part(f"{name}.dataset", dataset, DATASETS, problems)
    if part is not None:
        plan.datasets[name] = part
    if augmentation is not None and name != "train_dataloader":
        problems.append(Problem(f"{name}.augmentation", "only training data is augmented"))
    elif augmentation is not None:
        plan.augmentation = find_part(f"{name}.augmentation", augmentation, AUGMENTATIONS, problems)


def _check_agreement(plan: Plan, present: Mapping[str, Any]) -> Iterator[Problem]:
    """What parts say of each other: the data of a run is looked at by a view, in whose terms augmentation speaks."""
    if not plan.datasets:
        return
    if len(plan.model.branches) > 1:
        yield Problem(
            "model.branches", "a run trains and tests one branch; build several in code, see docs/extending.md"
        )
        return
    view = plan.model.branches[next(iter(plan.model.branches))].get("view")
    if view is None:
        yield Problem("model.view", "missing; it says how the model looks at images, see the configs of its task")
    elif plan.augmentation is not None and not issubclass(view.target, plan.augmentation.target.views):
        speaks = " or ".join(one.__name__ for one in plan.augmentation.target.views)
        text = f"{plan.augmentation.target.__name__} speaks to {speaks}, but model.view is {view.target.__name__}"
        yield Problem(plan.augmentation.path, text)
    if view is not None and getattr(view.target, "crops", None) in (None, BaseView.crops):
        for part in plan.datasets.values():
            if part.options.get("box_file") is not None:
                text = f"model.view {view.target.__name__} looks at whole images: leave boxes out (and --boxes)"
                yield Problem(f"{part.path}.box_file", text)


def _check_list(path: str, value: Any, check: Any, problems: list[Problem]) -> list[Part]:
    """Check a part, or each of several."""
    several = [(f"{path}.{i}", one) for i, one in enumerate(value)] if is_sequence(value) else [(path, value)]
    return [part for where, one in several if (part := check(where, one, problems)) is not None]


def _find_metric(path: str, value: Any, problems: list[Problem]) -> Part | None:
    return find_part(path, value, METRICS, problems)


def _check_hook(train_cfg: Any, path: str, value: Any, problems: list[Problem]) -> Part | None:
    part = find_part(path, value, HOOKS, problems, extra=("priority",))
    if part is not None and issubclass(part.target, EMAHook):
        momentum, begin = part.options.get("momentum", 0.5), part.options.get("begin_epoch", 0)
        if not (fits(momentum, float) and 0 < momentum < 1):
            problems.append(Problem(f"{path}.momentum", f"expected a number between 0 and 1, got {momentum!r}"))
        max_epochs: Any = train_cfg.get("max_epochs") if isinstance(train_cfg, Mapping) else None
        if fits(begin, int) and fits(max_epochs, int) and begin >= max_epochs > 0:
            text = f"{begin} is not before the end of the training, which has max_epochs={max_epochs}"
            problems.append(Problem(f"{path}.begin_epoch", text))
    return part


def _check_start(path: str, value: Any, problems: list[Problem]) -> None:
    if isinstance(value, Mapping):
        if unknown := [key for key in value if key not in ("checkpoint", "scheme")]:
            problems.append(Problem(f"{path}.{unknown[0]}", "takes checkpoint, and scheme where the file names none"))
        value = value.get("checkpoint")
    if not isinstance(value, str):
        problems.append(Problem(path, f"expected str, or dict(checkpoint=..., scheme=...), got {value!r}"))
    elif NAME.fullmatch(value):
        try:
            stands_for(value)
        except UserError as error:
            problems.append(Problem(path, str(error)))


def _check_recipes(path: str, value: Any, known: Sequence[str], problems: list[Problem]) -> None:
    """What changes for how many objects of one's own data: see `hrtoolkit.engine.own_data`."""
    for index, one in enumerate(value if is_sequence(value) else [value]):
        if not isinstance(one, Mapping) or not fits(one.get("up_to"), Count):
            problems.append(Problem(f"{path}.{index}", "expected a dict with up_to, a number of objects, and changes"))
        elif unknown := [name for name in one if name not in (*known, "up_to")]:
            problems.append(Problem(f"{path}.{index}.{unknown[0]}", f"a config has no {unknown[0]!r}"))


def _check_files(config: Config) -> Iterator[Problem]:
    for path, options, parameters in find_datasets(config):
        target = resolve_type(options.get("type"), DATASETS)
        values = {**{key: p.default for key, p in parameters.items() if isinstance(p.default, str)}, **options}
        root = Path(values.get("data_root") or "")
        how_to_get = f"; {target.how_to_get}" if target is not None and target.how_to_get else ""
        if not root.is_dir():
            yield Problem(f"{path}.data_root", f"no folder {root}{how_to_get}")
            continue
        for key, value in values.items():
            if key.endswith(("_file", "_dir")) and isinstance(value, str | Path):
                yield from _check_file(f"{path}.{key}", root, value, how_to_get)
    start = config.get("load_from")
    start = start.get("checkpoint") if isinstance(start, Mapping) else start
    elsewhere = isinstance(start, str) and (start.startswith("timm/") or "://" in start or NAME.fullmatch(start))
    if isinstance(start, str) and not elsewhere and not Path(start, CONFIG_FILE).is_file():
        yield from _check_file("load_from", Path(), start)


def _check_file(path: str, root: Path, value: str | Path, how_to_get: str = "") -> Iterator[Problem]:
    file = root / value
    if path.endswith("_dir"):
        # The older official layout keeps the image folders in `images`.
        found = file.is_dir() or (path.endswith(".image_dir") and (root / "images" / value).is_dir())
    else:
        found = file.is_file()
    if not found:
        near = suggest(file.name, [p.name for p in file.parent.iterdir()]) if file.parent.is_dir() else ""
        yield Problem(path, f"no {'folder' if path.endswith('_dir') else 'file'} {file}{near or how_to_get}")
