"""Settings of another toolkit that remember what was asked for: what nobody asks for was not understood."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from hrtoolkit.config.values import fits, is_sequence, spell
from hrtoolkit.ranges import Range

TRAINING = "training only"
NO_EFFECT = "no effect on results"
REPEATED = "the same once more"
Outputs = Annotated[int, Range("a whole number from 1 to 100000", 1, 100_000)]  # of a network, or sizes of its parts
LARGEST = 200_000  # values of one config


@dataclass
class Told:
    """What became of the settings of one file, by their paths.

    Args:
        file: that they stand in.
        understood: paths of what was mapped; what lies below them is understood too.
        refused: what changes the results and is not supported, and why.
        left_out: what is not mapped, and why nothing is lost.
        choices: by the path of a data set of ours, those that stand for it, the first whose files are there, each with
            what the log says of it.
    """

    file: Path | None = None
    understood: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[tuple[dict[str, Any], str]]] = field(default_factory=dict)


class Settings:
    """A dictionary of another toolkit's config, and the dictionaries in it.

    Args:
        values: the dictionary; what is none counts as empty and is refused.
        path: of it in the config, "" for the config itself.
        told: is told what was asked for.
    """

    def __init__(self, values: Any, path: str = "", told: Told | None = None):
        self.told = Told() if told is None else told
        self.path = path
        if not isinstance(values, Mapping):
            if values is not None:
                self.told.refused[path] = f"expected a dictionary, got {reprlib.repr(values)}"
            values = {}
        self.values: Mapping[Any, Any] = values

    def __contains__(self, key: str) -> bool:
        """Whether a key is there and not None."""
        return self.values.get(key) is not None

    def path_of(self, key: object) -> str:
        """The whole path of a key."""
        return f"{self.path}.{key}" if self.path else str(key)

    def peek(self, *keys: str) -> Any:
        """What stands at keys one inside the other, without understanding it; None where nothing does."""
        value: Any = self.values
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def get(self, key: str, default: Any = None, kind: Any = None) -> Any:
        """The value of a key, which counts as understood with all that is in it.

        Args:
            key: of the dictionary.
            default: where the key is missing or None.
            kind: an annotation that the value has to fit; another value is refused, and the default given.
        """
        self.told.understood.add(self.path_of(key))
        value = self.values.get(key)
        if value is None:
            return default
        if kind is not None and not fits(value, kind):
            self.refuse(key, f"expected {spell(kind)}, got {reprlib.repr(value)}")
            return default
        return value

    def section(self, key: str) -> Settings:
        """The dictionary of a key, empty where there is none."""
        return Settings(self.values.get(key), self.path_of(key), self.told)

    def sections(self, key: str) -> list[Settings]:
        """The dictionaries in a list, or the one that stands alone."""
        value: Any = self.values.get(key)
        path = self.path_of(key)
        if not is_sequence(value):
            return [] if value is None else [Settings(value, path, self.told)]
        return [Settings(one, f"{path}.{i}", self.told) for i, one in enumerate(value)]

    def only(self, key: str, *allowed: Any, why: str = "", default: Any = None) -> Any:
        """The value of a key that may have certain values alone.

        Args:
            key: of the dictionary.
            allowed: the values, the usual one first.
            why: what the message adds to them.
            default: where the key is missing; the first of the allowed ones by default.
        """
        value = self.get(key, allowed[0] if default is None else default)
        value = list(value) if isinstance(value, tuple) else value
        if key == "type" and isinstance(value, str):
            value = value.rsplit(".", 1)[-1]  # without the scope before it
        if value in [list(one) if isinstance(one, tuple) else one for one in allowed]:
            return value
        known = " or ".join(map(repr, allowed))
        self.refuse(key, f"{reprlib.repr(value)} is not supported here, only {known}{f': {why}' if why else ''}")
        return allowed[0]

    def refuse(self, key: str, why: str) -> None:
        """Refuse the whole config for the value of a key."""
        self.told.refused.setdefault(self.path_of(key), why)

    def refuse_part(self, why: str, key: str = "type") -> None:
        """Refuse a part that is not supported here at all, whatever else it says.

        Args:
            why: what there is instead.
            key: that names the part.
        """
        self.refuse(key, f"{reprlib.repr(self.values.get(key))}: {why}")
        self.told.understood.add(self.path)

    def leave_out(self, *keys: str, why: str = TRAINING) -> None:
        """Leave keys out that are there, without loss of results."""
        for key in keys:
            if key in self.values:
                self.told.left_out.setdefault(self.path_of(key), why)

    def leave_rest(self, why: str = TRAINING) -> None:
        """Leave out all that was not asked for yet."""
        for path, _ in leaves(self.values, self.path):
            if not _is_below(path, self.told.understood) and not _is_below(path, self.told.refused):
                self.told.left_out.setdefault(path, why)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values in dictionaries and lists of dictionaries, by their paths."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif _holds_settings(value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}")
    elif path:
        yield path, value


def find_leftovers(settings: Settings, why_harmless: Callable[[str], str | None]) -> list[str]:
    """The paths of what nobody understood; what is harmless is noted as left out.

    Args:
        settings: the whole config, after its mapping.
        why_harmless: why nothing is lost with a path, None where results may change.
    """
    told, found = settings.told, []
    for path, value in leaves(settings.values):
        known = (told.understood, told.left_out, told.refused)
        if value in (None, {}, [], ()) or any(_is_below(path, one) for one in known):
            continue
        if why := why_harmless(path):
            told.left_out[path] = why
        else:
            found.append(path)
    return found


def list_left_out(settings: Settings) -> dict[str, str]:
    """What was left out, and why: dictionaries that were left out for one reason as a whole by their own paths.

    Args:
        settings: the whole config, after its mapping.
    """
    told = settings.told
    found: dict[str, str] = {}

    def why(path: str) -> str | None:
        ways = [".".join(path.split(".")[: i + 1]) for i in reversed(range(path.count(".") + 1))]
        nearest = next((one for one in ways if one in told.left_out or one in told.understood), path)
        return told.left_out.get(nearest)

    def visit(value: Any, path: str) -> set[str | None]:
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if _holds_settings(value) else ()
        inner = {f"{path}.{key}" if path else str(key): item for key, item in items}
        if not inner:
            return {why(path)} if value not in (None, {}, [], ()) else set()
        reasons = {key: visit(item, key) for key, item in inner.items()}
        together: set[str | None] = set().union(*reasons.values())
        if len(together) > 1 or not path:
            found.update({key: reason for key, one in reasons.items() if len(one) == 1 for reason in one if reason})
            return {None, ""}
        return together

    visit(settings.values, "")
    return found


def _holds_settings(value: Any) -> bool:
    return is_sequence(value) and any(isinstance(one, Mapping) for one in value)


def is_too_large(value: Any) -> bool:
    """Whether a config has more values than any real one: references make small files hold millions."""
    sizes: dict[int, int] = {}

    def size(one: Any, depth: int) -> int:
        inner = one.values() if isinstance(one, Mapping) else one if isinstance(one, list | tuple | set) else ()
        if depth > 50:
            return LARGEST + 1
        if id(one) not in sizes:
            sizes[id(one)] = LARGEST + 1 if isinstance(one, Mapping | list) else 1  # one that holds itself
            sizes[id(one)] = 1 + sum(size(item, depth + 1) for item in inner)
        return sizes[id(one)]

    return size(value, 0) > LARGEST


def unusual(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not the usual ones, so that a config says no more than it has to.

    Args:
        values: all options.
        usual: what they are where a config does not say.
    """
    return {key: value for key, value in values.items() if key not in usual or usual[key] != value}


def matcher(*patterns: str) -> Callable[[str], bool]:
    """Whether a path is, or lies below, one of these; `*` stands for one key."""
    parts = "|".join(re.escape(pattern).replace(r"\*", r"[^.]+") for pattern in patterns)
    known = re.compile(rf"(?:{parts})(?:\.|$)")
    return lambda path: known.match(path) is not None


def _is_below(path: str, known: Any) -> bool:
    parts = path.split(".")
    return any(".".join(parts[: i + 1]) in known for i in range(len(parts)))
