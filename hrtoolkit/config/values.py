"""What the values of a config stand for: types, their parameters, datasets wherever they are, and near names."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from mmengine import registry as mm
from mmengine.config import Config
from torch import nn

from hrtoolkit.registry import DATASETS

DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


class Parameter(NamedTuple):
    default: Any
    hint: Any  # the annotation as an object
    spelled: str  # the annotation as the source has it


def find_parameters(target: Any) -> tuple[dict[str, Parameter], bool]:
    """Named parameters of a class or function, and whether it takes any other name as well.

    A class that passes on `*args, **kwargs` (mmengine's LinearLR) has those of the next class too.
    """
    calls = [target]
    if inspect.isclass(target):
        calls = [vars(c)["__init__"] for c in target.__mro__ if "__init__" in vars(c) and c is not object]
        if calls[:1] == [nn.Module.__init__]:  # it says that it takes anything, and refuses
            calls = []
    found: dict[str, Parameter] = {}
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
                found.setdefault(p.name, Parameter(p.default, hints.get(p.name), spelled))
        kinds = {p.kind for p in parameters}
        takes_any = inspect.Parameter.VAR_KEYWORD in kinds
        if not takes_any or inspect.Parameter.VAR_POSITIONAL not in kinds:
            break
    return found, takes_any


def fits(value: Any, hint: Any) -> bool:
    """Whether a value fits a plain annotation; what is more than plain is left to the class."""
    if get_origin(hint) in (Union, UnionType):
        return any(fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint if hint in (int, bool, str, NoneType) else True


def resolve_type(kind: Any, registry: mm.Registry) -> Any:
    """The class or function that a `type` names, or None."""
    try:
        target = registry.get(kind) if isinstance(kind, str) else kind
    except RuntimeError:  # what mmengine raises for some unknown names; for others it returns None
        return None
    return target if callable(target) else None


def find_datasets(config: Config) -> Iterator[tuple[str, dict, dict[str, Parameter]]]:
    """Every dataset of every dataloader, those inside other datasets too, with its parameters."""
    waiting = [(name, config.get(name)) for name in DATALOADERS]
    while waiting:
        path, value = waiting.pop(0)
        if isinstance(value, dict):
            target = resolve_type(value.get("type"), DATASETS)
            if target is not None or "data_root" in value:
                yield path, value, find_parameters(target)[0] if target else {}
            waiting += [
                (f"{path}.{key}", item) for key, item in value.items() if key not in ("transform", "transforms")
            ]
        elif is_sequence(value):
            waiting += [(f"{path}.{i}", item) for i, item in enumerate(value)]


def is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple)


def suggest(name: str, known: Iterable[str]) -> str:
    """Near names as the end of a sentence; of a dict of names, what they stand for."""
    near = difflib.get_close_matches(name, list(known))
    shown = [known[n] if isinstance(known, dict) else n for n in near]
    return f"; did you mean {' or '.join(map(repr, shown))}?" if near else ""
