"""A config as a few lines on the shipped config that is nearest to it."""

from __future__ import annotations

import json
import keyword
import math
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrtoolkit.config.load import list_shipped, load_config
from hrtoolkit.foreign.convert import Converted
from hrtoolkit.foreign.settings import leaves

DELETE = "_delete_"
WIDTH = 110  # of a line


def write_config(converted: Converted) -> str:
    """The text of a config file of ours that gives the converted config, with what was left out as comments.

    Args:
        converted: from another toolkit.
    """
    wanted = converted.config.to_dict()
    base, changes = find_nearest(wanted)
    name = re.sub(r"[^\w.+-]", "_", Path(str(converted.config.filename)).name)
    lines = [f'"""Converted from {name}, a config of the {converted.title} code."""', ""]
    if base:
        lines += [f'_base_ = "{base}"', ""]
    lines += [f"{name} = {_write(value)}" for name, value in changes.items()]
    if converted.left_out:
        lines += ["", "# Left out:"]
        # What stands in the other file must not end the comment.
        lines += [printable(f"# {path}: {why}") for path, why in _group(converted.left_out).items()]
    return "\n".join(lines).rstrip("\n") + "\n"


def find_nearest(wanted: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The shipped config from which the fewest changes lead to this one, and the changes.

    Args:
        wanted: the whole config.
    """
    nearest, fewest = "", None
    tasks = [name.rpartition(".")[2] for name in wanted["custom_imports"]["imports"]]
    for name in list_shipped():
        if name.split("/")[0] not in tasks:
            continue
        shipped = load_config(name).to_dict()
        changes = _find_changes(shipped, wanted)
        if fewest is None or _count(changes) < _count(fewest):
            nearest, fewest = name, changes
    return nearest, dict(wanted) if fewest is None else fewest


def _count(changes: Mapping[str, Any]) -> int:
    return sum(1 for _ in leaves(changes))


def _find_changes(base: Mapping[str, Any], wanted: Mapping[str, Any], top: bool = True) -> dict[str, Any]:
    """What to write over a base so that its dictionary becomes the wanted one."""
    spare = [key for key in base if key not in wanted]
    if spare and not top:
        return {DELETE: True, **wanted}
    changes: dict[str, Any] = {key: None for key in spare if base[key] is not None}
    for key, value in wanted.items():
        if key not in base:
            changes[key] = value
        elif isinstance(value, Mapping) and isinstance(base[key], Mapping):
            if inner := _find_changes(base[key], value, top=False):
                changes[key] = inner
        elif _as_lists(value) != _as_lists(base[key]):
            changes[key] = value
    return changes


def _as_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(one) for one in value] if isinstance(value, list | tuple) else value


def printable(text: str) -> str:
    """A text in one line."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _write(value: Any, depth: int = 0) -> str:
    """A value as people write it in configs: `dict(...)`, over several lines where it is long."""
    if isinstance(value, Mapping) and all(map(_is_argument, value)):
        items, start, end = [f"{key}={_write(item, depth + 1)}" for key, item in value.items()], "dict(", ")"
    elif isinstance(value, list | tuple) and value:
        items, (start, end) = [_write(one, depth + 1) for one in value], "[]" if isinstance(value, list) else "()"
        items[0] += "," if len(items) == 1 and isinstance(value, tuple) else ""
    elif isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    else:
        return json.dumps(value) if isinstance(value, str) else repr(value)
    line = f"{start}{', '.join(items)}{end}"
    if len(line) + 4 * depth <= WIDTH and "\n" not in line:
        return line
    indent = "    " * (depth + 1)
    if isinstance(value, Mapping) or any("\n" in one for one in items) or isinstance(value[0], Mapping):
        lines = [f"{indent}{item}," for item in items]
    else:
        filled = textwrap.wrap(", ".join(one.replace(" ", "\0") for one in items) + ",", WIDTH - len(indent))
        lines = [indent + one.replace("\0", " ") for one in filled]
    return "\n".join([start, *lines, "    " * depth + end])


def _is_argument(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)


def _group(left_out: Mapping[str, str]) -> dict[str, str]:
    """Paths of the same reason and section as one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for path, why in left_out.items():
        head, _, last = path.rpartition(".")
        groups.setdefault((head, why), []).append(last)
    joined = {}
    for (head, why), names in groups.items():
        inside = names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"
        joined[f"{head}.{inside}" if head else ", ".join(names)] = why
    return joined
