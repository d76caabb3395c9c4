"""Load a config and override what the command line says.

A config is a Python file as mmengine reads it (`_base_`, `_delete_`), and so a program: reading it runs it. `_base_`
may also name a shipped config, such as "pose/hrnet_w32_coco". Its top-level names are fixed
(`hrtoolkit.engine.check_config` lists them); names that begin with an underscore, imports, functions and `published`
stay private to the file. Configs of other toolkits are read as data and never run, see `hrtoolkit.foreign`.
"""

from __future__ import annotations

import ast
import copy
import importlib
import json
import math
import os
import pprint
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from hrtoolkit.config.values import find_datasets
from hrtoolkit.errors import CheckpointError, ConfigError, UserError, suggest
from hrtoolkit.files import expand_path, list_shipped
from hrtoolkit.published import name_weights

PYTHON_ONLY = "a config is a Python file that ends with .py, such as those in configs/; write it as one"


def load_config(
    source: str | Path | Config, overrides: Iterable[str] = (), data_root: str | Path | None = None
) -> Config:
    """Read a config, import what its `custom_imports` name, and apply what the command line says.

    Modules that nobody has installed are looked for beside the config's file.

    Args:
        source: a file, of ours or of another toolkit (see `hrtoolkit.foreign`), the name of a shipped config such as
            "pose/hrnet_w32_coco", or a Config, which is copied.
        overrides: `a.b=value`, where value is a Python literal or else a string; `true`, `false` and `none` may be
            written in any case. Elements of a list go by index, as in `param_scheduler.0.end=3`. The last name may be
            new, the ones before it may not; a dict is replaced, not merged.
        data_root: folder that every dataset reads from, those inside other datasets too.

    Raises:
        ConfigError: the file is missing or cannot be run, an import fails, or an override does not fit.
    """
    config, finish = (copy.deepcopy(source), None) if isinstance(source, Config) else _read_any(find_config(source))
    if problems := [problem for text in overrides if (problem := _override_(config, text))]:
        raise ConfigError(config_name(config), problems)
    if problems := list(_import_custom(config)):
        raise ConfigError(config_name(config), problems)
    if data_root is not None:
        for _, options, parameters in find_datasets(config):
            if "data_root" in options or "data_root" in parameters:
                options["data_root"] = str(data_root)
    if problems := [*_expand_paths_(config), *_name_weights_(config)]:
        raise ConfigError(config_name(config), problems)
    if finish is not None:
        finish(config)
    return config


def config_text(config: Config) -> str:
    """Write a config as Python text, bases and overrides resolved; `Config.fromstring(text, ".py")` reads it back.

    Classes become their dotted names and paths become strings; other objects cannot be read back.
    """
    sections = _to_literals(config.to_dict())
    return "".join(f"{name} = {pprint.pformat(v, width=120, sort_dicts=False)}\n" for name, v in sections.items())


def config_json(config: Config) -> str:
    """Write a config as json, bases and overrides resolved: what checkpoints keep, and `read_stored_config` reads.

    Tuples become lists; values that are no numbers, texts or containers cannot be read back.
    """
    return json.dumps(_to_literals(config.to_dict()), default=str)


def read_stored_config(text: str) -> Config:
    """Read the config that a checkpoint holds, without running anything in it.

    Args:
        text: json, or the Python text of older checkpoints, whose assignments are read as literals.

    Raises:
        ConfigError: it is neither.
    """
    try:
        return Config(json.loads(text))
    except (TypeError, ValueError):
        pass
    try:
        assignments: list[Any] = ast.parse(text).body
        return Config({node.targets[0].id: _literal(node.value) for node in assignments})
    except (AttributeError, IndexError, SyntaxError, TypeError, ValueError):
        raise ConfigError("the config in this checkpoint", ["is neither json nor plain assignments"]) from None


def _literal(node: ast.expr) -> Any:
    """The value of an expression of literals, and of `float('inf')`, which has none."""

    class Replace(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.expr:
            if isinstance(call.func, ast.Name) and call.func.id == "float" and len(call.args) == 1:
                return ast.Constant(float(ast.literal_eval(call.args[0])))
            return call

    return ast.literal_eval(ast.fix_missing_locations(Replace().visit(node)))


def config_name(config: Config) -> str:
    """What messages call a config: its file, where it has one."""
    return config.filename or "config"


def find_config(source: str | Path) -> Path:
    """The file of a config: a path, with or without .py, or the name of a shipped one, or the end of it.

    Raises:
        ConfigError: there is none, or there are several.
    """
    path = Path(expand_path(source))
    for candidate in (path, Path(f"{path}.py")):
        if os.path.isfile(candidate):  # noqa: PTH113 (it never raises for odd names)
            if candidate.suffix not in (".py", ".yaml", ".yml"):
                raise ConfigError(candidate, [PYTHON_ONLY])
            return candidate
    shipped = list_shipped()
    wanted = path.as_posix().removesuffix(".py")
    matches = [name for name in shipped if f"/configs/{name}".endswith(f"/{wanted}")]
    if len(matches) == 1:
        return shipped[matches[0]]
    if matches:
        raise ConfigError(source, [f"no such file, and several shipped configs end so: {', '.join(matches)}"])
    known = {Path(name).name: name for name in shipped} | {p.stem: str(p) for p in path.parent.glob("*.py")}
    raise ConfigError(source, ["no such file" + suggest(Path(wanted).name, known)])


def _find_base(base: str, folder: Path) -> Path:
    """The file that `_base_` names, which need not exist: seen from the config's folder, else a shipped config."""
    path = Path(os.path.normpath(folder / base))
    return path if path.is_file() else list_shipped().get(base.removesuffix(".py"), path)


@contextmanager
def _our_bases() -> Iterator[None]:
    """Let mmengine find bases as `_find_base` does, and let a dict replace a text or None; it has no hooks for that."""
    find, merge = Config._get_cfg_path, Config._merge_a_into_b

    def find_by_name(base: str, filename: str) -> tuple[str, str | None]:
        return find(base, filename) if "::" in base else (str(_find_base(base, Path(filename).parent)), None)

    def merge_or_replace(new: dict, base: dict, allow_list_keys: bool = False) -> dict:
        base = base.copy()
        for key, value in new.items():
            if isinstance(value, dict) and key in base and not isinstance(base[key], dict | list):
                base[key] = ConfigDict()
        return merge(new, base, allow_list_keys)

    Config._get_cfg_path, Config._merge_a_into_b = staticmethod(find_by_name), staticmethod(merge_or_replace)
    try:
        yield
    finally:
        Config._get_cfg_path, Config._merge_a_into_b = staticmethod(find), staticmethod(merge)


def _read_any(path: Path) -> tuple[Config, Callable[[Config], None] | None]:
    """A config of ours, or one of another toolkit as one of ours, and what is to be done when its data is known."""
    from hrtoolkit.foreign import is_foreign, read_foreign

    return read_foreign(path) if is_foreign(path) else (_read_file(path), None)


def _read_file(path: Path) -> Config:
    files = _compile_files(path)
    try:
        with _our_bases():
            config = Config.fromfile(path, import_custom_modules=False, lazy_import=False)
    except Exception as error:  # a config is a program: anything can happen in it
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        where = f"{files[lines[-1].filename]}, line {lines[-1].lineno}: " if lines else ""
        raise ConfigError(path, [f"{where}{type(error).__name__}: {error}"]) from error
    for name in [name for name, value in config.items() if name.startswith("_") or callable(value)]:
        config.pop(name)
    config.pop("published", None)  # of a file, not of what is based on it: see `hrtoolkit.published`
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
        for base, number in _find_bases(ast.parse(path.read_bytes())):
            file = _find_base(base, path.parent)
            if not file.is_file():
                beside = [one.name for one in file.parent.glob("*.py")]
                near = suggest(file.name, beside) or suggest(base, list(list_shipped()))
                raise ConfigError(root, [f"{path}, line {number}: no file {file}, which _base_ names{near}"])
            if file.suffix != ".py":
                raise ConfigError(root, [f"{path}, line {number}: {file}: {PYTHON_ONLY}"])
            if os.path.abspath(file) not in files:  # noqa: PTH100
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
    key: str | int
    for depth, key in enumerate(keys):
        above, last = ".".join(keys[:depth]), depth == len(keys) - 1
        if isinstance(node, list):
            if not key.isdecimal() or int(key) >= len(node):
                return f"override {text!r}: {above} is a list of {len(node)}, {key!r} is not an index of it"
            key = int(key)
        elif not isinstance(node, dict):
            return f"override {text!r}: {above} is {reprlib.repr(node)}; set it as a whole"
        elif key not in node and keys[depth + 1 :] == ["type"]:  # a part that the config lacks begins with its type
            node[key] = {}
        elif key not in node and not last:
            return f"override {text!r}: {above or 'the config'} has no {key!r}{suggest(key, list(node))}"
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
    folder = str(Path(config.filename).resolve().parent) if modules and config.filename else None
    if folder and folder not in sys.path:
        sys.path.append(folder)  # at the end, where a file beside a config hides no package
    for module in [modules] if isinstance(modules, str) else modules or ():
        try:
            importlib.import_module(str(module))
        except ImportError as error:
            if not custom.get("allow_failed_imports"):
                yield f"custom_imports: cannot import {module!r}: {error}"


def _expand_paths_(config: Config) -> Iterator[str]:
    """Write out `~` and environment variables in the paths of a config."""
    sections: list[tuple[str, Any, Sequence[str]]] = [("", config, ("work_dir", "load_from"))]
    if isinstance(config.get("load_from"), dict):
        sections.append(("load_from.", config.load_from, ("checkpoint",)))
    for path, options, _ in find_datasets(config):
        keys = [key for key in options if key == "data_root" or key.endswith(("_file", "_dir"))]
        sections.append((f"{path}.", options, keys))
    for path, options, names in sections:
        for key in names:
            if isinstance(options.get(key), str):
                try:
                    options[key] = expand_path(options[key])
                except UserError as error:
                    yield f"{path}{key}: {error}"


def _name_weights_(config: Config) -> Iterator[str]:
    """Write out a word for weights: what is based on this config, or holds it, has another file."""
    start = config.get("load_from")
    try:
        if isinstance(start, dict):
            start["checkpoint"] = name_weights(start.get("checkpoint"), config.filename)
        elif start is not None:
            config.load_from = name_weights(start, config.filename)
    except CheckpointError as error:
        yield f"load_from: {error}"


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
