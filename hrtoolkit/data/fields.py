"""One rule for what a field of a json record may hold, and words for what it holds instead.

Numbers are json's numbers: neither a text that spells one, nor true or false. Optional fields may be null, which is as
good as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

NUMBER = frozenset((int, float))
ABSENT = frozenset((type(None),))


class Field(NamedTuple):
    """What a field may hold."""

    expected: str  # for messages
    types: frozenset[type]
    allows: Callable[[Any], bool] = lambda value: True  # of a value of these types
    entries: frozenset[type] | None = None  # types of a list's entries; None where it is no list

    def or_nothing(self) -> Field:
        """The same field, optional."""
        return self._replace(types=self.types | ABSENT, allows=lambda value: value is None or self.allows(value))


ID = Field("a whole number or a text", NUMBER | {str}, lambda v: isinstance(v, str) or _is_whole(v))
TEXT = Field("a text", frozenset((str,)))
NUMBERS = Field("a list of numbers", frozenset((list,)), entries=NUMBER)
QUANTITY = Field("a number", NUMBER)
COUNT = Field("a whole number", NUMBER, lambda v: _is_whole(v))
FLAG = Field("0 or 1", NUMBER | {bool}, lambda v: v in (0, 1))
PAIR = NUMBERS._replace(expected="a list of two numbers", allows=lambda v: len(v) == 2)
BOX = NUMBERS._replace(expected="a list of four numbers", allows=lambda v: len(v) == 4)


def are_sound(records: Sequence[Any], fields: Mapping[str, Field]) -> bool:
    """Whether all records are objects whose fields hold what they may; quick where they do."""
    if not set(map(type, records)) <= {dict}:
        return False
    for name, field in fields.items():
        values = [record.get(name) for record in records]
        if not set(map(type, values)) <= field.types or not all(map(field.allows, values)):
            return False
        if (
            field.entries
            and not set(map(type, chain.from_iterable(v for v in values if type(v) is list))) <= field.entries
        ):
            return False
    return True


def find_faults(record: Any, fields: Mapping[str, Field]) -> Iterator[tuple[str, str]]:
    """What is wrong with a record, and the value that shows it."""
    if type(record) is not dict:
        yield "that are no json objects", _show(record)
        return
    if missing := [name for name, field in fields.items() if name not in record and not field.types & ABSENT]:
        yield f"that lack {sorted(missing)}", ""
    for name, field in fields.items():
        value = record.get(name)
        if name in missing:
            continue
        if type(value) not in field.types:
            yield f"whose `{name}` is {_kind(value)}, expected {field.expected}", _show(value)
        elif field.entries and type(value) is list and (odd := [v for v in value if type(v) not in field.entries]):
            yield f"whose `{name}` holds {_kind(odd[0])}, expected {field.expected}", _show(odd[0])
        elif not field.allows(value):
            yield f"whose `{name}` is not {field.expected}", _show(value)


def _is_whole(value: int | float) -> bool:
    return (isinstance(value, int) or value.is_integer()) and abs(value) < 2**63  # what an array of integers holds


def _kind(value: Any) -> str:
    kinds = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
