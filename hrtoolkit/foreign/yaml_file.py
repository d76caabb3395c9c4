"""Yaml experiment files, as the official code reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hrtoolkit.foreign.python_file import ForeignError
from hrtoolkit.foreign.settings import is_too_large

LONGEST = 2**18  # bytes of a file


class _Loader(yaml.SafeLoader):
    """Refuses keys that are there twice, and reads 1e-3 as a number, as the official code does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            problem = f"{name!r} is set twice, first in line {seen[name]}" if name in seen else ""
            if key.tag == "tag:yaml.org,2002:merge" or not name:
                problem = "a key is a plain name here"  # merged keys make small files hold millions
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen[name] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a yaml file that holds a dictionary.

    Args:
        path: of the file.

    Raises:
        ForeignError: it cannot be read, is no yaml, or holds something else.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ForeignError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > LONGEST:
        raise ForeignError(f"{path}: {len(data)} bytes, which is too long for a config")
    if not data.strip():
        raise ForeignError(f"{path}: an empty file")
    try:
        text = data.decode("utf-8-sig")
        content = yaml.load(text, _Loader)
    except UnicodeDecodeError:
        raise ForeignError(f"{path}: no text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ForeignError(f"{path}{where}: no yaml that could be a config ({error.problem})") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ForeignError(f"{path}: no yaml that could be a config ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise ForeignError(f"{path}: holds {type(content).__name__} and no settings")
    if is_too_large(content):
        raise ForeignError(f"{path}: has more values than any config has")
    return content
