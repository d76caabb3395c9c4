"""Which fields of an annotation hold keypoints, where a file in COCO's format has more of them than COCO's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hrtoolkit.errors import OptionError, suggest


class Part(NamedTuple):
    """Something that an annotation says keypoints of: the whole person, the face, a hand."""

    keypoints: tuple[str, ...] = ("keypoints",)  # fields, one after another
    bbox: str = "bbox"  # the field of its box
    first: int | None = None  # how many of the keypoints are taken; None: all


def read_parts(options: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """The parts that a config names: dicts of the fields of `Part`, of which `keypoints` may be one name.

    Raises:
        OptionError: one is something else.
    """
    return tuple(_read_part(one) for one in options)


def _read_part(options: Mapping[str, Any]) -> Part:
    fields = dict(options) if isinstance(options, Mapping) else {"": options}
    if unknown := [name for name in fields if name not in Part._fields]:
        hint = suggest(unknown[0], Part._fields) or f"; it takes {', '.join(Part._fields)}"
        raise OptionError(f"parts: a part has no {unknown[0]!r}{hint}")
    names = fields.get("keypoints", "keypoints")
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names or not all(isinstance(name, str) for name in names):
        raise OptionError(f"parts: keypoints takes names of fields, got {fields['keypoints']!r}")
    return Part(**{**fields, "keypoints": names})


def split_parts(record: Any, parts: Sequence[Part]) -> Iterator[Any]:
    """The parts of an annotation as annotations of their own, in COCO's fields.

    What the file says of somebody's `num_keypoints` is of other keypoints, and is left out; so is `area`, where the box
    is another one. A field `..._valid` that is false takes the labels of its `..._kpts` away.

    Args:
        record: an annotation; what is none is handed on.
        parts: of it; with several, each has an id of its own.
    """
    if not isinstance(record, dict):
        yield record
        return
    for part in parts:
        one = {name: value for name, value in record.items() if name not in ("keypoints", "num_keypoints")}
        if part.bbox != "bbox":
            one = {**one, "bbox": record.get(part.bbox), "area": None}
        if len(parts) > 1 and "id" in record:
            one["id"] = f"{record['id']} {part.keypoints[0]}"
        values: list = []
        for name in part.keypoints:
            values += _read_points(record, name)
        yield {**one, "keypoints": values if part.first is None else values[: 3 * part.first]}


def _read_points(record: dict, name: str) -> list:
    """The numbers of a field of keypoints; of what is not labelled as a whole they are 0."""
    values = record.get(name)
    values = flatten(values) if isinstance(values, list) else [] if values is None else [values]
    return [0] * len(values) if record.get(f"{name.removesuffix('_kpts')}_valid") is False else values


def is_nested(values: Any) -> bool:
    """Whether keypoints are lists of numbers, one a point, as in RHD's files, and not all numbers in one list."""
    return isinstance(values, list) and bool(values) and isinstance(values[0], list)


def flatten(values: list) -> list:
    """Keypoints as one list of numbers."""
    if not is_nested(values):
        return values
    return [number for point in values for number in (point if isinstance(point, list) else [point])]
