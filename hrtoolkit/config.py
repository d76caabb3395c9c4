"""Load, override, and check a whole config before anything is built.

A config is a Python file as mmengine reads it (`_base_`, `_delete_`). Its top-level names are fixed (`_check_sections`
lists them); names that begin with an underscore, imports and functions stay private to the file.
"""

from __future__ import annotations

import ast
import copy
import difflib
import importlib
import inspect
import math
import os
import pprint
import reprlib
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from mmengine import registry as mm
from mmengine.config import Config, ConfigDict
from mmengine.utils import import_modules_from_strings
from torch import nn

from hrtoolkit.errors import UserError
from hrtoolkit.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper")


class ConfigError(UserError, ValueError):
    """A config that cannot be used, with all its problems at once.

    Args:
        source: the config's file, or another name for it.
        problems: one line each.
    """

    def __init__(self, source: str | Path, problems: Iterable[str]):
        self.problems = list(problems)
        count = f"{len(self.problems)} problem" + "s" * (len(self.problems) != 1)
        super().__init__("\n  ".join([f"{source}: {count}", *self.problems]))


def load_config(
    source: str | Path | Config, overrides: Iterable[str] = (), data_root: str | Path | None = None
) -> Config:
    """Read a config, import what its `custom_imports` name, and apply what the command line says.

    Args:
        source: a file, the name of a shipped config such as "pose/hrnet_w32_coco", or a Config, which is copied.
        overrides: `a.b=value`, where value is a Python literal or else a string; `true`, `false` and `none` may be
            written in any case. Elements of a list go by index, as in `param_scheduler.0.end=3`. The last name may be
            new, the ones before it may not; a dict is replaced, not merged.
        data_root: folder that every dataset reads from, those inside other datasets too.

    Raises:
        ConfigError: the file is missing or cannot be run, an import fails, or an override does not fit.
    """
    config = copy.deepcopy(source) if isinstance(source, Config) else _read_file(_find_file(source))
    if problems := [problem for text in overrides if (problem := _override_(config, text))]:
        raise ConfigError(_name(config), problems)
    if problems := list(_import_custom(config)):
        raise ConfigError(_name(config), problems)
    if data_root is not None:
        for _, options, parameters in _find_datasets(config):
            if "data_root" in options or "data_root" in parameters:
                options["data_root"] = str(data_root)
    return config


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
        raise ConfigError(_name(config), [f"{', '.join(where)}: {text}" for text, where in paths.items()])


def config_text(config: Config) -> str:
    """Write a config as Python text, bases and overrides resolved; `Config.fromstring(text, ".py")` reads it back.

    Classes become their dotted names and paths become strings; other objects cannot be read back.
    """
    sections = _to_literals(config.to_dict())
    return "".join(f"{name} = {pprint.pformat(v, width=120, sort_dicts=False)}\n" for name, v in sections.items())


# Loading


def _name(config: Config) -> str:
    return config.filename or "config"


def _find_file(source: str | Path) -> Path:
    path = Path(source).expanduser()
    for candidate in (path, Path(f"{path}.py")):
        if candidate.is_file():
            return candidate
    # An installed package holds the configs inside, a checkout beside it.
    folder = next((p / "configs" for p in Path(__file__).parents[:2] if (p / "configs").is_dir()), Path("configs"))
    files = [file for file in sorted(folder.rglob("*.py")) if file.name != "__init__.py"]
    shipped = {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
    wanted = path.as_posix().removesuffix(".py")
    matches = [name for name in shipped if f"/configs/{name}".endswith(f"/{wanted}")]
    if len(matches) == 1:
        return shipped[matches[0]]
    if matches:
        raise ConfigError(source, [f"no such file, and several shipped configs end so: {', '.join(matches)}"])
    known = {Path(name).name: name for name in shipped} | {p.stem: str(p) for p in path.parent.glob("*.py")}
    raise ConfigError(source, ["no such file" + _suggest(Path(wanted).name, known)])


def _read_file(path: Path) -> Config:
    files = _compile_files(path) if path.suffix == ".py" else {}
    try:
        config = Config.fromfile(path, import_custom_modules=False, lazy_import=False)
    except Exception as error:  # a config is a program: anything can happen in it
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        where = f"{files[lines[-1].filename]}, line {lines[-1].lineno}: " if lines else ""
        raise ConfigError(path, [f"{where}{type(error).__name__}: {error}"]) from error
    for name in [name for name, value in config.items() if name.startswith("_") or callable(value)]:
        config.pop(name)
    return config


def _compile_files(root: Path) -> dict[str, Path]:
    """Compile a config and its bases, because mmengine does not say in which of them an error is.

    Returns:
        each file as to be shown, by its absolute path.
    """
    files: dict[str, Path] = {}
    waiting = [root]
    while waiting:
        path = waiting.pop()
        files[os.path.abspath(path)] = path  # noqa: PTH100 (as mmengine does it: links are not followed)
        try:
            compile(path.read_bytes(), str(path), "exec")
        except SyntaxError as error:
            line = f": {error.text.strip()}" if error.text else ""
            raise ConfigError(root, [f"{path}, line {error.lineno}: {error.msg}{line}"]) from None
        for base, line in _find_bases(ast.parse(path.read_bytes())):
            file = Path(os.path.normpath(path.parent / base))
            if not file.is_file():
                near = _suggest(file.name, {p.name: p.name for p in file.parent.glob("*.py")})
                raise ConfigError(root, [f"{path}, line {line}: no file {file}, which _base_ names{near}"])
            if os.path.abspath(file) not in files and file.suffix == ".py":  # noqa: PTH100
                waiting.append(file)
    return files


def _find_bases(module: ast.Module) -> Iterator[tuple[str, int]]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_base_":
            for base in node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]:
                # Computed names and those of other packages ("mmdet::...") are left to mmengine.
                if isinstance(base, ast.Constant) and isinstance(base.value, str) and "::" not in base.value:
                    yield base.value, base.lineno


def _override_(config: Config, text: str) -> str | None:
    """Apply one override, or say why it cannot be applied."""
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        return f"override {text!r}: expected a.b=value"
    node = config._cfg_dict
    for depth, key in enumerate(keys):
        above, last = ".".join(keys[:depth]), depth == len(keys) - 1
        if isinstance(node, list):
            if not key.isdecimal() or int(key) >= len(node):
                return f"override {text!r}: {above} is a list of {len(node)}, {key!r} is not an index of it"
            key = int(key)
        elif not isinstance(node, dict):
            return f"override {text!r}: {above} is {reprlib.repr(node)}; set it as a whole"
        elif key not in node and not last:
            return f"override {text!r}: {above or 'the config'} has no {key!r}{_suggest(key, list(node))}"
        if last:
            node[key] = ConfigDict(value=_parse_value(value.strip()))["value"]
        else:
            node = node[key]
    return None


def _parse_value(text: str) -> Any:
    try:
        return ast.literal_eval(text.capitalize() if text.lower() in ("true", "false", "none") else text)
    except (ValueError, SyntaxError, TypeError):
        return text


def _import_custom(config: Config) -> Iterator[str]:
    custom = config.get("custom_imports")
    modules = custom.get("imports") if isinstance(custom, dict) else None
    for module in [modules] if isinstance(modules, str) else modules or ():
        try:
            importlib.import_module(str(module))
        except ImportError as error:
            if not custom.get("allow_failed_imports"):
                yield f"custom_imports: cannot import {module!r}: {error}"


def _to_literals(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_literals(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_literals(item) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return _NonFinite(value)
    if callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    return str(value) if isinstance(value, Path) else value


class _NonFinite(float):
    """Written as Python can read it."""

    def __repr__(self) -> str:
        return f"float({super().__repr__()!r})"


# Checking: every function yields problems as (path in the config, what is wrong there)


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
        "model": (Model, _Rule(optional=("neck",)), {"backbone": _MODEL, "neck": _MODEL, "head": _MODEL}),
        **dict.fromkeys(DATALOADERS, (build_dataloader, _Rule(hidden=tuple(runtime)), {"dataset": _DATASET})),
        "train_cfg": (TrainLoop, _Rule(hidden=("runner", "dataloader")), {}),
        "optim_wrapper": (DeviceOptimWrapper, _OPTIM_WRAPPER, {"optimizer": _OPTIMIZER}),
    }
    parts = {"val_evaluator": _METRIC, "test_evaluator": _METRIC, "param_scheduler": _SCHEDULER, "custom_hooks": _HOOK}
    plain = {"load_from": str, "work_dir": str, "seed": int, "base_batch_size": int, "sync_batchnorm": bool}

    present = {name for name, value in config.items() if value is not None}
    for name, value in config.items():
        if name not in (*sections, *parts, *plain):
            yield name, f"a config has no {name!r}{_suggest(name, [*sections, *parts, *plain])}"
        elif value is None:
            continue
        elif name in sections:
            yield from _check_section(name, value, *sections[name])
        elif name in parts:
            for path, part in [(f"{name}.{i}", p) for i, p in enumerate(value)] if _many(value) else [(name, value)]:
                yield from _check_part(path, part, parts[name])
        elif not _fits(value, plain[name]):
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
    target = _resolve(value["type"], rule.registry)
    if target is None:
        registries = [rule.registry, rule.registry.parent] if rule.registry.parent else [rule.registry]
        known = [name for registry in registries for name in registry.module_dict]
        hint = _suggest(str(value["type"]), known) or "; is its package in custom_imports?"
        yield f"{path}.type", f"there is no {rule.registry.name} {value['type']!r}{hint}"
    else:
        options = {key: item for key, item in value.items() if key not in ("type", "_scope_")}
        yield from _check_arguments(path, options, target, rule, getattr(target, "__name__", str(target)))
    for key, item in value.items():
        yield from _check_inside(f"{path}.{key}", item, _BY_KEY.get(key, rule if rule.nested else None))


def _check_inside(path: str, value: Any, rule: _Rule | None):
    """Check the parts in an argument; what has no `type` is data, which may hold parts in turn."""
    if rule is None or not (isinstance(value, dict) or _many(value)):
        return
    if isinstance(value, dict) and "type" in value:
        yield from _check_part(path, value, rule)
    else:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _check_inside(f"{path}.{key}", item, _BY_KEY.get(key, rule))


def _check_arguments(path: str, options: dict, target: Any, rule: _Rule, name: str):
    parameters, takes_any = _parameters(target)
    allowed = [key for key in parameters if key not in rule.hidden] + list(rule.extra)
    for key, value in options.items():
        if key not in allowed:
            if not takes_any or key in rule.hidden:
                known = _suggest(key, allowed) or f"; it takes {', '.join(allowed) or 'none'}"
                yield f"{path}.{key}", f"{name} has no argument {key!r}{known}"
        elif key in parameters:
            default, hint, spelled = parameters[key]
            if not (value is default or _fits(value, hint)):
                yield f"{path}.{key}", f"expected {spelled}, got {reprlib.repr(value)}"
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in (*options, *rule.hidden, *rule.optional):
            yield path, f"{name} needs {key!r}"


def _check_files(config: Config):
    for path, options, parameters in _find_datasets(config):
        target = _resolve(options.get("type"), DATASETS)
        values = {**{key: p.default for key, p in parameters.items() if isinstance(p.default, str)}, **options}
        root = Path(values.get("data_root") or "")
        if not root.is_dir():
            how_to_get = getattr(target, "how_to_get", None)
            yield f"{path}.data_root", f"no folder {root}" + (f"; {how_to_get}" if how_to_get else "")
            continue
        for key, value in values.items():
            if key.endswith(("_file", "_dir")) and isinstance(value, str | Path):
                yield from _check_file(f"{path}.{key}", root, value)
    start = config.get("load_from")
    if isinstance(start, str) and not start.startswith("timm/") and "://" not in start:
        yield from _check_file("load_from", Path(), start)


def _check_file(path: str, root: Path, value: str | Path):
    file = root / value
    if path.endswith("_dir"):
        # The older official layout keeps the image folders in `images`.
        found = file.is_dir() or (path.endswith(".image_dir") and (root / "images" / value).is_dir())
    else:
        found = file.is_file()
    if not found:
        near = _suggest(file.name, [p.name for p in file.parent.iterdir()]) if file.parent.is_dir() else ""
        yield path, f"no {'folder' if path.endswith('_dir') else 'file'} {file}{near}"


# What a config's values mean


class _Parameter(NamedTuple):
    default: Any
    hint: Any  # the annotation as an object
    spelled: str  # the annotation as the source has it


def _parameters(target: Any) -> tuple[dict[str, _Parameter], bool]:
    """Named parameters of a class or function, and whether it takes any other name as well.

    A class that passes on `*args, **kwargs` (mmengine's LinearLR) has those of the next class too.
    """
    calls = [target]
    if inspect.isclass(target):
        calls = [vars(c)["__init__"] for c in target.__mro__ if "__init__" in vars(c) and c is not object]
        if calls[:1] == [nn.Module.__init__]:  # it says that it takes anything, and refuses
            calls = []
    found: dict[str, _Parameter] = {}
    takes_any = False
    for call in calls:
        try:
            hints = get_type_hints(call)
        except (NameError, TypeError, AttributeError):  # names that are only there for type checkers, partial objects
            hints = {}
        parameters = list(inspect.signature(call).parameters.values())[inspect.isclass(target) :]
        for p in parameters:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                spelled = p.annotation if isinstance(p.annotation, str) else inspect.formatannotation(p.annotation)
                found.setdefault(p.name, _Parameter(p.default, hints.get(p.name), spelled))
        kinds = {p.kind for p in parameters}
        takes_any = inspect.Parameter.VAR_KEYWORD in kinds
        if not takes_any or inspect.Parameter.VAR_POSITIONAL not in kinds:
            break
    return found, takes_any


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value fits a plain annotation; what is more than plain is left to the class."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint if hint in (int, bool, str, NoneType) else True


def _resolve(kind: Any, registry: mm.Registry) -> Any:
    """The class or function that a `type` names, or None."""
    try:
        target = registry.get(kind) if isinstance(kind, str) else kind
    except RuntimeError:  # what mmengine raises for some unknown names; for others it returns None
        return None
    return target if callable(target) else None


def _find_datasets(config: Config) -> Iterator[tuple[str, dict, dict[str, _Parameter]]]:
    """Every dataset of every dataloader, those inside other datasets too, with its parameters."""
    waiting = [(name, config.get(name)) for name in DATALOADERS]
    while waiting:
        path, value = waiting.pop(0)
        if isinstance(value, dict):
            target = _resolve(value.get("type"), DATASETS)
            if target is not None or "data_root" in value:
                yield path, value, _parameters(target)[0] if target else {}
            waiting += [
                (f"{path}.{key}", item) for key, item in value.items() if key not in ("transform", "transforms")
            ]
        elif _many(value):
            waiting += [(f"{path}.{i}", item) for i, item in enumerate(value)]


def _many(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _suggest(name: str, known: Iterable[str]) -> str:
    """Near names as the end of a sentence; of a dict of names, what they stand for."""
    near = difflib.get_close_matches(name, list(known))
    shown = [known[n] if isinstance(known, dict) else n for n in near]
    return f"; did you mean {' or '.join(map(repr, shown))}?" if near else ""
