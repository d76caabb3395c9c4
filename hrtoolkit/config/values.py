"""What the values of a config stand for: types, their parameters, and the datasets."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from mmengine import registry as mm
from mmengine.config import Config
from torch import nn

from hrtoolkit.ranges import Range
from hrtoolkit.registry import DATASETS

DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


class Parameter(NamedTuple):
    default: Any
    hint: Any  # the annotation as an object
    spelled: str  # the annotation in words


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
            hints = get_type_hints(call, include_extras=True)
        except (NameError, TypeError, AttributeError):  # names that are only there for type checkers, partial objects
            hints = {}
        parameters = list(inspect.signature(call).parameters.values())[inspect.isclass(target) :]
        for p in parameters:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                spelled = p.annotation if isinstance(p.annotation, str) else inspect.formatannotation(p.annotation)
                found.setdefault(p.name, Parameter(p.default, hints.get(p.name), spell(hints.get(p.name), spelled)))
        kinds = {p.kind for p in parameters}
        takes_any = inspect.Parameter.VAR_KEYWORD in kinds
        if not takes_any or inspect.Parameter.VAR_POSITIONAL not in kinds:
            break
    return found, takes_any


def fits(value: Any, hint: Any) -> bool:
    """Whether a value fits a plain annotation; what is more than plain is left to the class."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        ranges = [one for one in arguments[1:] if isinstance(one, Range)]
        return fits(value, arguments[0]) and all(one.holds(value) for one in ranges)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple and Ellipsis not in arguments:
        return is_sequence(value) and len(value) == len(arguments) and all(map(fits, value, arguments))
    if origin is Sequence:  # a text is a sequence of texts, and never meant as one
        return is_sequence(value) and all(fits(one, arguments[0]) for one in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(k, arguments[0]) and fits(v, arguments[1]) for k, v in value.items()
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    return type(value) is hint if hint in (int, bool, str, NoneType) else True


def spell(hint: Any, source: str | None = None) -> str:
    """An annotation in words where it has ranges, else as the source has it."""
    spelled = getattr(hint, "__name__", str(hint)) if source is None else source
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return next((one.text for one in arguments[1:] if isinstance(one, Range)), spelled)
    if origin is Mapping:
        return f"dict(NAME={spell(arguments[1])})"
    if origin in (Union, UnionType) and any(get_origin(one) is not None for one in arguments):
        return " or ".join("None" if one is NoneType else spell(one) for one in arguments)
    if origin in (tuple, Sequence) and get_origin(arguments[0]) is Annotated:
        count = "several numbers" if origin is Sequence or Ellipsis in arguments else f"{len(arguments)} numbers"
        return f"{count}, each {spell(arguments[0], spelled)}"
    return spelled


def resolve_type(kind: Any, registry: mm.Registry) -> Any:
    """The class or function that a `type` names, or None."""
    try:
        target = registry.get(kind) if isinstance(kind, str) else kind
    except RuntimeError:  # what mmengine raises for some unknown names; for others it returns None
        return None
    return target if callable(target) else None


def find_datasets(config: Config) -> Iterator[tuple[str, dict, dict[str, Parameter]]]:
    """The datasets of every dataloader, by their paths, with the parameters of their classes."""
    for name in DATALOADERS:
        for path, dataset in _find_datasets(name, config.get(name)):
            target = resolve_type(dataset.get("type"), DATASETS)
            if target is not None or "data_root" in dataset:
                yield path, dataset, find_parameters(target)[0] if target else {}


def _find_datasets(path: str, section: Any) -> Iterator[tuple[str, dict]]:
    """What stands as `dataset`, or in `datasets`, at any depth of a section."""
    if not isinstance(section, dict):
        return
    for key, value in section.items():
        if key == "dataset" and isinstance(value, dict):
            yield f"{path}.{key}", value
        elif key == "datasets" and isinstance(value, dict):
            yield from ((f"{path}.{key}.{name}", one) for name, one in value.items() if isinstance(one, dict))
        else:
            yield from _find_datasets(f"{path}.{key}", value)


def is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple)
