"""Check a whole config before anything is built, and keep the parts that were found."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.utils import import_modules_from_strings

from hrtoolkit.build import ModelPlan, Part, Problem, check_call, find_part, plan_model, raise_problems
from hrtoolkit.config.load import config_name
from hrtoolkit.config.values import DATALOADERS, find_datasets, fits, is_sequence, resolve_type, spell
from hrtoolkit.data.joint import build_joint_dataloader
from hrtoolkit.data.loading import build_dataloader
from hrtoolkit.engine.check_optim import check_optim
from hrtoolkit.engine.combination import check_best
from hrtoolkit.engine.loop import TrainLoop
from hrtoolkit.errors import UserError, suggest
from hrtoolkit.files import CONFIG_FILE
from hrtoolkit.model import UNNAMED
from hrtoolkit.published import NAME
from hrtoolkit.ranges import Count, Seed
from hrtoolkit.registry import AUGMENTATIONS, DATASETS, HOOKS, METRICS
from hrtoolkit.views import BaseView, replace_transform
from hrtoolkit.weights import stands_for

TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper")
SPLITS = tuple(name.removesuffix("_dataloader") for name in DATALOADERS)
EVALUATORS = ("val_evaluator", "test_evaluator")
PLAIN = {"work_dir": str, "seed": Seed, "base_batch_size": Count, "sync_batchnorm": bool}
RUNTIME = tuple(p.name for p in inspect.signature(build_dataloader).parameters.values() if p.kind is p.KEYWORD_ONLY)
GIVEN = ("sources", "views", "batch_sizes", "seed")  # arguments of `build_joint_dataloader` that are no options


class DataPlan(NamedTuple):
    """A data set of a config, and who looks at it.

    Args:
        split: "train", "val" or "test".
        branch: of the model.
        dataset: its part.
        name: of the source, of training data; of other data that of its loader, which is its branch's or another.
        options: of its loader.
    """

    split: str
    branch: str
    dataset: Part
    name: str = UNNAMED
    options: Mapping[str, Any] = MappingProxyType({})


class SourcePlan(NamedTuple):
    """Training data that is looked at in one way.

    Args:
        augmentation: of it.
        batch_size: inputs a process and step, where there are several sources.
    """

    augmentation: Part | None = None
    batch_size: int = 0


@dataclass
class Plan:
    """What a config asks for, checked.

    Args:
        model: its parts.
        data: by name: "train", "val" and "test" of a model with one task; with named branches "val NAME", and
            "train SOURCE BRANCH".
        sources: of the training data by name.
        joint: options of the loader of several sources.
        metrics: of each evaluator that the config has, by the name of the loader.
    """

    model: ModelPlan
    data: dict[str, DataPlan] = field(default_factory=dict)
    sources: dict[str, SourcePlan] = field(default_factory=dict)
    joint: Mapping[str, Any] = field(default_factory=dict)
    metrics: dict[str, dict[str, list[Part]]] = field(default_factory=dict)


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
        "best": lambda name, value: None,  # seen to when the metrics are known
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
        elif name in (*DATALOADERS, *EVALUATORS) and plan.model is None and "branches" in present.get("model", ()):
            continue  # whose branches are not known
        elif name in DATALOADERS:
            _plan_data(name, value, plan, problems)
        elif name in EVALUATORS:
            several = {UNNAMED: value} if not _is_joint(plan) else _by_loader(name, value, plan, present, problems)
            plan.metrics[name] = {
                loader: _plan_metrics(f"{name}.{loader}" if loader else name, one, problems)
                for loader, one in several.items()
            }
        elif name in PLAIN:
            if not fits(value, PLAIN[name]):
                problems.append(Problem(name, f"expected {spell(PLAIN[name])}, got {value!r}"))
        elif name in ("custom_imports", "train_cfg", "optim_wrapper") and not isinstance(value, Mapping):
            problems.append(Problem(name, f"expected a dict, got {reprlib.repr(value)}"))
        else:
            readers[name](name, value)
    # Training data comes first, wherever it stands: the others take their schemes from it.
    plan.data = dict(sorted(plan.data.items(), key=lambda item: SPLITS.index(item[1].split)))
    check_optim(present, problems)
    for name in TRAINING:
        if name not in present and set(present).intersection(TRAINING):
            problems.append(Problem(name, f"missing; {', '.join(TRAINING)} come together or not at all"))
    if "val_dataloader" in present and "val_evaluator" not in present:
        problems.append(Problem("val_evaluator", "missing; val_dataloader needs it"))
    if plan.model is not None:
        problems += dict.fromkeys(_check_agreement(plan))
        if _is_joint(plan):
            problems += _check_branches(plan, present)
        problems += check_best("best", present.get("best"), plan.metrics.get("val_evaluator", {}))
    return plan


def _is_joint(plan: Plan) -> bool:
    """Whether branches have names, and data and metrics of their own; not known of a model with problems."""
    return plan.model is not None and UNNAMED not in plan.model.branches


def _plan_data(name: str, value: Any, plan: Plan, problems: list[Problem]) -> None:
    """A dataloader: of one data set, of the sources of several branches, or of a data set a branch."""
    split = name.removesuffix("_dataloader")
    if not isinstance(value, Mapping):
        problems.append(Problem(name, f"expected a dict, got {reprlib.repr(value)}"))
    elif not _is_joint(plan):
        extra = ("augmentation",) if split == "train" else ()
        part, options = _plan_loader(name, value, problems, extra)
        if part is not None:
            plan.data[split] = DataPlan(split, UNNAMED, part, options=options)
        augmentation = _plan_augmentation(name, value, problems)
        if split == "train":
            plan.sources[""] = SourcePlan(augmentation)
    elif split == "train":
        _plan_sources(name, value, plan, problems)
    else:
        branches = {
            loader: one.get("branch", loader) if isinstance(one, Mapping) else loader for loader, one in value.items()
        }
        _check_known(name, branches, plan, problems)
        for loader, one in value.items():
            path = f"{name}.{loader}"
            if not isinstance(one, Mapping):
                problems.append(Problem(path, f"expected a dict, got {reprlib.repr(one)}"))
                continue
            part, options = _plan_loader(path, {k: v for k, v in one.items() if k != "branch"}, problems)
            _plan_augmentation(path, one, problems)
            if part is not None and branches[loader] in plan.model.branches:
                plan.data[f"{split} {loader}"] = DataPlan(split, branches[loader], part, loader, options)


def _check_known(path: str, branches: Mapping[str, Any], plan: Plan, problems: list[Problem]) -> None:
    """Whether the model has the branches that parts of a section are for."""
    for name, branch in branches.items():
        if branch not in plan.model.branches:
            known = suggest(str(branch), list(plan.model.branches)) or f"; there are {', '.join(plan.model.branches)}"
            problems.append(Problem(f"{path}.{name}", f"the model has no branch {branch!r}{known}"))


def _by_loader(
    path: str, value: Any, plan: Plan, present: Mapping[str, Any], problems: list[Problem]
) -> dict[str, Any]:
    """What an evaluator says of each loader."""
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"expected dict(NAME=dict(type=...)), got {reprlib.repr(value)}"))
        return {}
    loaders = present.get(path.replace("evaluator", "dataloader"))
    if not isinstance(loaders, Mapping):
        _check_known(path, {name: name for name in value}, plan, problems)
        return {name: one for name, one in value.items() if name in plan.model.branches}
    for name in value:
        if name not in loaders:
            known = suggest(name, list(loaders)) or f"; there are {', '.join(loaders)}"
            text = f"{path.replace('evaluator', 'dataloader')} has no {name!r}{known}"
            problems.append(Problem(f"{path}.{name}", text))
    return {name: one for name, one in value.items() if name in loaders}


def _plan_loader(
    path: str, value: Mapping[str, Any], problems: list[Problem], extra: Sequence[str] = ()
) -> tuple[Part | None, dict[str, Any]]:
    """A loader of one data set: that, and the loader's own arguments."""
    options = {k: v for k, v in value.items() if k not in ("dataset", "augmentation")}
    extra, hidden = ("dataset", *extra), ("inputs", *RUNTIME)
    check_call(path, options, build_dataloader, problems, hidden=hidden, extra=extra, roles={}, name=path)
    return _plan_dataset(f"{path}.dataset", value.get("dataset"), problems), options


def _plan_dataset(path: str, dataset: Any, problems: list[Problem]) -> Part | None:
    if isinstance(dataset, Mapping) and "transform" in dataset:
        text = f"a data set has no 'transform' any more; {replace_transform(dataset['transform'])}"
        problems.append(Problem(f"{path}.transform", text))
        dataset = {k: v for k, v in dataset.items() if k != "transform"}
    return find_part(path, dataset, DATASETS, problems)


def _plan_augmentation(path: str, value: Mapping[str, Any], problems: list[Problem]) -> Part | None:
    augmentation = value.get("augmentation")
    if augmentation is None:
        return None
    if not path.startswith("train"):
        problems.append(Problem(f"{path}.augmentation", "only training data is augmented"))
        return None
    return find_part(f"{path}.augmentation", augmentation, AUGMENTATIONS, problems)


def _plan_sources(path: str, value: Mapping[str, Any], plan: Plan, problems: list[Problem]) -> None:
    """Training data of several branches: sources that each have truth of some of them."""
    options = {k: v for k, v in value.items() if k != "sources"}
    sources = value.get("sources")
    check_call(path, options, build_joint_dataloader, problems, GIVEN, extra=("sources",), roles={}, name=path)
    plan.joint = options
    if not isinstance(sources, Mapping) or not sources:
        what = "expected dict(SOURCE=dict(datasets=dict(BRANCH=dict(type=...)), batch_size=...))"
        problems.append(Problem(f"{path}.sources", f"{what}, got {reprlib.repr(sources)}"))
        return
    for name, source in sources.items():
        where = f"{path}.sources.{name}"
        if not isinstance(source, Mapping):
            problems.append(Problem(where, f"expected a dict, got {reprlib.repr(source)}"))
            continue
        plain = {key: item for key, item in source.items() if key != "augmentation"}
        check_call(where, plain, _source, problems, extra=("augmentation",), roles={}, name=where)
        datasets, count = source.get("datasets"), len(problems)
        if isinstance(datasets, Mapping):
            _check_known(f"{where}.datasets", {branch: branch for branch in datasets}, plan, problems)
        if not datasets and len(problems) == count:
            problems.append(Problem(f"{where}.datasets", "has truth of no branch; leave this source out"))
        for branch, dataset in datasets.items() if isinstance(datasets, Mapping) else ():
            part = _plan_dataset(f"{where}.datasets.{branch}", dataset, problems)
            if part is not None and branch in plan.model.branches:
                plan.data[f"train {name} {branch}"] = DataPlan("train", branch, part, name)
        plan.sources[name] = SourcePlan(_plan_augmentation(where, source, problems), source.get("batch_size", 0))


def _source(*, datasets: Mapping, batch_size: Count) -> None:
    """What a source takes."""


def _plan_metrics(path: str, value: Any, problems: list[Problem]) -> list[Part]:
    if is_sequence(value) and not value:
        problems.append(Problem(path, "has no metric"))
    return _check_list(path, value, _find_metric, problems)


def _view_of(plan: Plan, branch: str) -> tuple[str, Part | None]:
    """Where a branch's view stands in the config, and its part."""
    if branch in plan.model.looks:
        shared = plan.model.looks[branch]
        return f"model.views.{shared}", plan.model.views.get(shared)
    where = f"model.branches.{branch}.view" if branch else "model.view"
    return where, plan.model.branches[branch].get("view")


def _check_agreement(plan: Plan) -> Iterator[Problem]:
    """What parts say of each other: data is looked at by a view, in whose terms augmentation speaks."""
    for one in plan.data.values():
        where, view = _view_of(plan, one.branch)
        augmentation = plan.sources[one.name].augmentation if one.split == "train" else None
        if view is None:
            yield Problem(where, "missing; it says how the model looks at images, see the configs of its task")
            continue
        if augmentation is not None and not issubclass(view.target, augmentation.target.views):
            speaks = " or ".join(one.__name__ for one in augmentation.target.views)
            text = f"{augmentation.target.__name__} speaks to {speaks}, but {where} is {view.target.__name__}"
            yield Problem(augmentation.path, text)
        whole = getattr(view.target, "crops", None) in (None, BaseView.crops)
        if whole and one.dataset.options.get("box_file") is not None:
            text = f"{where} {view.target.__name__} looks at whole images: leave boxes out (and --boxes)"
            yield Problem(f"{one.dataset.path}.box_file", text)


def _check_branches(plan: Plan, present: Mapping[str, Any]) -> Iterator[Problem]:
    """Whether every branch learns and is measured, and the branches of a source look in one way."""
    learnt = {one.branch for one in plan.data.values() if one.split == "train"}
    for branch in plan.model.branches if learnt else ():
        if branch not in learnt:
            yield Problem(f"model.branches.{branch}", "no source of train_dataloader has truth of it; leave it out")
    if present.get("sync_batchnorm") and len(plan.model.branches) > 1:
        text = "layers that one branch reads alone would wait for processes without truth of it in a step; leave it out"
        yield Problem("sync_batchnorm", text)
    for one in plan.data.values():
        _, view = _view_of(plan, one.branch)
        whole = view is not None and getattr(view.target, "crops", None) in (None, BaseView.crops)
        if one.split == "train" and whole and "keep_empty" in set(one.dataset.parameters) - set(one.dataset.options):
            text = "missing: are images without objects annotated to be so (True), or did nobody look at them (False)?"
            yield Problem(f"{one.dataset.path}.keep_empty", text)
    for name in plan.sources:
        branches = [one.branch for one in plan.data.values() if one.split == "train" and one.name == name]
        views = {plan.model.looks.get(branch, branch) for branch in branches}
        if len(views) > 1:
            text = f"{', '.join(branches)} look in different ways: make a source of each, or let them share model.views"
            yield Problem(f"train_dataloader.sources.{name}.datasets", text)
    for split in ("val", "test"):
        metrics = plan.metrics.get(f"{split}_evaluator", {})
        for one in plan.data.values():
            if one.split == split and one.name not in metrics and f"{split}_evaluator" in present:
                yield Problem(f"{split}_evaluator.{one.name}", f"missing; {split}_dataloader.{one.name} needs it")


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
