"""From a config of another toolkit to one of ours: each task registers what it makes of the configs of its kind."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import logging
import pkgutil
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mmengine.config import Config

from hrtoolkit.config.values import find_datasets
from hrtoolkit.errors import ConfigError, shorten
from hrtoolkit.files import shipped_configs
from hrtoolkit.foreign import official, openmmlab
from hrtoolkit.foreign.python_file import ForeignError, parse, read_python, read_source
from hrtoolkit.foreign.settings import NO_EFFECT, REPEATED, Settings, find_leftovers, list_left_out
from hrtoolkit.foreign.yaml_file import read_yaml

log = logging.getLogger(__name__)

YAML = (".yaml", ".yml")
# Names at the top of OpenMMLab's configs, and in their `model`, that no config of ours has.
TOP_SIGNS = {
    *("auto_scale_lr", "checkpoint_config", "codec", "data", "data_cfg", "data_preprocessor", "dataset_type"),
    *("default_hooks", "default_scope", "env_cfg", "evaluation", "img_norm_cfg", "log_config", "lr_config"),
    *("norm_cfg", "optimizer", "optimizer_config", "runner", "test_pipeline", "total_epochs", "train_pipeline"),
    *("vis_backends", "visualizer"),
}
MODEL_SIGNS = {
    *("auxiliary_head", "data_preprocessor", "decode_head", "init_cfg", "keypoint_head", "pretrained", "roi_head"),
    *("rpn_head", "test_cfg", "train_cfg", "extra", "bbox_head"),
}


class Dialect(NamedTuple):
    """What a task makes of the configs of one code base.

    Args:
        title: what messages call such a config, such as "official pose".
        form: "official" yaml, or "openmmlab".
        names: that MODEL.NAME, or `model.type`, may have.
        recognises: `recognises(settings) -> bool`, among several dialects with the same names.
        convert: `convert(settings) -> config`, the config as dictionaries of ours; it refuses by `settings.refuse`.
    """

    title: str
    form: Literal["official", "openmmlab"]
    names: tuple[str, ...]
    recognises: Callable[[Settings], bool]
    convert: Callable[[Settings], dict[str, Any]]


class Converted(NamedTuple):
    """A config of another toolkit as one of ours."""

    config: Config
    title: str
    left_out: dict[str, str]  # path -> why
    choices: dict[str, list[tuple[dict[str, Any], str]]]  # see `hrtoolkit.foreign.settings.Told`


DIALECTS: list[Dialect] = []
KEYS = {"official": ("MODEL", "NAME"), "openmmlab": ("model", "type")}  # of a network's name


def register_dialect(*dialects: Dialect) -> None:
    """Make kinds of foreign configs known; of several that recognise one the first counts."""
    known = {one.title for one in DIALECTS}
    DIALECTS.extend(one for one in dialects if one.title not in known)


def is_foreign(path: Path) -> bool:
    """Whether a config file is another toolkit's, told by its text and that of its bases; nothing in it is run."""
    if path.suffix in YAML:
        return True
    modules = list(_find_modules(path, set()))
    return any(map(_has_signs, modules)) and not any(map(_is_ours, modules))


def read_foreign(path: Path) -> tuple[Config, Callable[[Config], None]]:
    """Read a config of another toolkit as one of ours, and say in the log what it was taken for.

    Args:
        path: of the file.

    Returns:
        the config, and what chooses its data sets once their folder is known.

    Raises:
        ConfigError: it cannot be read, or changes results in a way that is not supported here.
    """
    converted = convert_foreign(path)
    losses = [key for key, why in converted.left_out.items() if why not in (NO_EFFECT, REPEATED)]
    what = f"; left out: {shorten(losses, 4)} (hrtoolkit convert-config says why)" if losses else ""
    log.info("%s: taken for a config of the %s code%s", path, converted.title, what)
    return converted.config, partial(choose_data, choices=converted.choices)


def choose_data(config: Config, choices: dict[str, list[tuple[dict[str, Any], str]]]) -> None:
    """Take of the data sets that stand for each other the first whose files are there, else the last one.

    Args:
        config: changed.
        choices: see `hrtoolkit.foreign.settings.Told`.
    """
    for path, options, _ in find_datasets(config):
        root, candidates = Path(options.get("data_root", "")), choices.get(path, [])
        for candidate, what in candidates:
            last = candidates[-1][0]
            files = [
                root / value for key, value in candidate.items() if key.endswith("_file") and last.get(key) != value
            ]
            if candidate is last or all(file.is_file() for file in files):
                options.clear()
                options.update(candidate, data_root=str(root))
                log.info("%s: %s", path, what or ", ".join(map(str, files)))
                break


def convert_foreign(path: Path) -> Converted:
    """Turn a config file of another toolkit into a config of ours.

    Args:
        path: of the file, yaml of the official code or Python of OpenMMLab.

    Raises:
        ConfigError: it cannot be read, or changes results in a way that is not supported here; with all such keys.
    """
    missing: list[str] = []
    try:
        if path.suffix in YAML:
            return _convert(read_yaml(path), "official", path)
        values, missing = read_python(path)
    except ForeignError as error:
        raise ConfigError(path, [str(error).removeprefix(f"{path}: ")]) from None
    return _convert(values, "openmmlab", path, missing)


def convert_stored(checkpoint: Mapping, label: str | Path) -> Converted | None:
    """Turn the config that OpenMMLab keeps in its checkpoints into a config of ours.

    Args:
        checkpoint: the content of the file.
        label: what messages call it.

    Returns:
        the config, or None where the file holds no text of one.

    Raises:
        ConfigError: see `convert_foreign`.
    """
    meta = checkpoint.get("meta")
    text = (meta.get("cfg") or meta.get("config")) if isinstance(meta, Mapping) else None
    if not isinstance(text, str) or not isinstance(meta, Mapping) or "hrtoolkit_version" in meta:
        return None
    try:
        return _convert(read_source(text, label), "openmmlab", Path(label))
    except ForeignError as error:
        raise ConfigError(label, [f"the config in it: {str(error).removeprefix(f'{label}: ')}"]) from None


def _convert(
    values: dict[str, Any], form: Literal["official", "openmmlab"], path: Path, missing: Sequence[str] = ()
) -> Converted:
    settings, key = Settings(values), KEYS[form]
    settings.told.file = path
    dialect = _find_dialect(settings, form, key, path)
    try:
        config = dialect.convert(settings)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        what = f"something in it is of another kind than such configs have ({type(error).__name__}: {error})"
        problems = [f"{name}: {why}" for name, why in settings.told.refused.items()]
        raise ConfigError(path, [f"taken for a config of the {dialect.title} code", *problems, what]) from error
    settings.told.understood.add(".".join(key))
    code = official if form == "official" else openmmlab
    leftovers = find_leftovers(settings, code.why_harmless)
    problems = [f"{name}: {why}" for name, why in settings.told.refused.items()]
    problems += [f"{name}: not understood, and it may change the results" for name in leftovers]
    if problems:
        raise ConfigError(path, [f"taken for a config of the {dialect.title} code", *problems])
    left_out = list_left_out(settings) | dict.fromkeys(missing, "a base that is missing and changes no result")
    return Converted(
        Config(config, cfg_text="# converted", filename=str(path)), dialect.title, left_out, settings.told.choices
    )


def _find_dialect(settings: Settings, form: str, key: tuple[str, str], path: Path) -> Dialect:
    tasks = importlib.import_module("hrtoolkit.tasks")
    for task in pkgutil.iter_modules(tasks.__path__, "hrtoolkit.tasks."):
        if importlib.util.find_spec(f"{task.name}.foreign"):
            importlib.import_module(f"{task.name}.foreign")
    known = [one for one in DIALECTS if one.form == form]
    name = settings.peek(*key)
    name = name.rsplit(".", 1)[-1] if isinstance(name, str) and form == "openmmlab" else name
    for one in known:
        if name in one.names and one.recognises(settings):
            return one
    where = ".".join(key)
    names = sorted({n for one in known for n in one.names})
    if name is None:
        what = "yaml of the official code" if form == "official" else "Python configs of OpenMMLab"
        raise ConfigError(path, [f"{where}: missing; of other toolkits' configs those are read: {what}"])
    why = "no such network here" if name not in names else "such a network, but not in this form, is known here"
    raise ConfigError(path, [f"{where}: {reprlib.repr(name)}: {why}; there are {', '.join(names)}"])


def _find_modules(path: Path, seen: set[Path]) -> Iterator[ast.Module]:
    """The syntax trees of a config and its bases, as far as they are there."""
    if path.resolve() in seen or not path.is_file():
        return
    seen.add(path.resolve())
    try:
        module = parse(path)
    except ForeignError:
        return
    yield module
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_base_":
            for base in ast.walk(node.value):
                if isinstance(base, ast.Constant) and isinstance(base.value, str):
                    yield from _find_modules(path.parent / base.value.replace("\\", "/"), seen)


def _is_ours(module: ast.Module) -> bool:
    """Whether a config imports this toolkit's parts, or is based on a config that it ships."""
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, inside = (
                node.targets[0].id,
                [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)],
            )
            texts = [one.removesuffix(".py") for one in inside if isinstance(one, str)]
            if name == "custom_imports" and any(one.startswith("hrtoolkit.") for one in texts):
                return True
            if name == "_base_" and any((shipped_configs() / f"{one}.py").is_file() for one in texts):
                return True
    return False


def _has_signs(module: ast.Module) -> bool:
    for node in module.body:
        if isinstance(node, ast.With) and "read_base" in ast.unparse(node.items[0].context_expr):
            return True
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if name in TOP_SIGNS:
            return True
        if name == "model":
            inside = {one.arg for one in ast.walk(node.value) if isinstance(one, ast.keyword)}
            inside |= {str(one.value) for one in _keys(node.value)}
            top = {one.arg for one in getattr(node.value, "keywords", [])} | _top_keys(node.value)
            if "type" in top or inside & MODEL_SIGNS:
                return True
    return False


def _keys(node: ast.expr) -> Iterator[ast.Constant]:
    for one in ast.walk(node):
        if isinstance(one, ast.Dict):
            yield from (key for key in one.keys if isinstance(key, ast.Constant))


def _top_keys(node: ast.expr) -> set[Any]:
    return {key.value for key in node.keys if isinstance(key, ast.Constant)} if isinstance(node, ast.Dict) else set()
