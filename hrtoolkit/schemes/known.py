"""Schemes by what a config says of them, and truth of one scheme in another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from hrtoolkit.errors import DataError, OptionError, shorten
from hrtoolkit.records import Category, LabelMap, Objects, Record, ValueMap
from hrtoolkit.runtime.sides import partners_by_name
from hrtoolkit.schemes.base import IGNORED, ClassScheme, KeypointScheme, Scheme, ValueScheme
from hrtoolkit.schemes.classes import CLASSES
from hrtoolkit.schemes.faces import AFLW_19, COFW_29, IBUG_68, WFLW_98
from hrtoolkit.schemes.joining import join_schemes
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.schemes.people import COCO, CROWDPOSE, MPII

PEOPLE = {"coco": COCO, "mpii": MPII, "crowdpose": CROWDPOSE}
FACES = {"300w": IBUG_68, "wflw": WFLW_98, "cofw": COFW_29, "aflw": AFLW_19}
KEYPOINTS = {**PEOPLE, **FACES, **LAYOUTS}
# Normals as most cameras count, but for z, which points to the viewer.
VALUES = {
    "depth": ValueScheme(("depth",), values="positive", unit="m"),
    "normals": ValueScheme(("x", "y", "z"), values="unit_vector", directions=(("x", "right"), ("y", "down"))),
}
KNOWN: dict[type[Scheme], dict[str, Scheme]] = {
    KeypointScheme: {**KEYPOINTS},
    ClassScheme: {**CLASSES},
    ValueScheme: {**VALUES},
}

# What a config may say: a known name, names, the fields of a scheme, the union or intersection of several, a number of
# classes without names, or a scheme.
SchemeLike = str | int | list | tuple | dict | Scheme
SchemeT = TypeVar("SchemeT", bound=Scheme)


def register_scheme(name: str, scheme: Scheme) -> None:
    """Make a scheme known to configs by a name.

    Raises:
        ValueError: another scheme of its kind has that name.
    """
    known = KNOWN[type(scheme)]
    if known.setdefault(name, scheme) != scheme:
        raise ValueError(f"there is another {type(scheme).__name__} {name!r}")


def resolve_scheme(value: SchemeLike | None, kind: type[SchemeT]) -> SchemeT:
    """Turn what a config says of its keypoints, classes or values into a scheme.

    Fields of keypoints that state no mirror partners get those that differ in left and right only. Keypoints with
    exactly the names of a known scheme, and nothing else said, are that one.

    Args:
        value: a known name such as "coco", a list of names, fields of the scheme (`names` at least), `union` or
            `intersection` with a list of several of keypoints, a number of classes that have no names, or a scheme.
        kind: `KeypointScheme`, `ClassScheme` or `ValueScheme`.

    Raises:
        OptionError: nothing is given, the name is unknown, or the fields make no scheme.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, Scheme):
        raise OptionError(f"there are {value.OUTPUTS} ({shorten(value.names)}), but this is for {kind.OUTPUTS}")
    try:
        found = _find(value, kind)
    except (TypeError, ValueError, DataError) as error:
        raise OptionError(str(error)) from None
    if isinstance(found, kind):
        return found
    number = ", a number of classes" if kind is ClassScheme else ""
    raise OptionError(
        f"scheme must be one of {', '.join(KNOWN[kind])}, a list of names{number}, or a dict with `names`, got "
        f"{value!r}; None is only possible where training data has the names"
    )


def _find(value: SchemeLike | None, kind: type[Scheme]) -> Scheme | None:
    if isinstance(value, str):
        return KNOWN[kind].get(value)
    if kind is ClassScheme and isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return ClassScheme(tuple(map(str, range(value))), numbered=True)
    if isinstance(value, Mapping) and kind is KeypointScheme and len(value) == 1:
        (way, several) = next(iter(value.items()))
        if way in ("union", "intersection"):
            return _combine(way, several)
    if isinstance(value, Mapping) and "names" in value:
        fields = [field.name for field in dataclasses.fields(kind)]
        if unknown := [name for name in value if name not in fields]:
            raise ValueError(f"{kind.WHAT}: no field is called {', '.join(unknown)}; there are {', '.join(fields)}")
        return _complete(kind, **value)
    return _complete(kind, names=value) if isinstance(value, Sequence) else None


def _combine(way: str, several: Sequence[SchemeLike]) -> Scheme:
    """All keypoints of several schemes, or those that all of them have, by the names that data sets have in common."""
    if isinstance(several, str) or not isinstance(several, Sequence) or not several:
        raise ValueError(f"scheme: {way} takes a list of schemes, got {several!r}")
    schemes = {
        f"{way}[{i}]" if not isinstance(one, str) else one: resolve_scheme(one, KeypointScheme)
        for i, one in enumerate(several)
    }
    joined = join_schemes(schemes)
    if way == "union":
        return joined
    assert isinstance(joined, KeypointScheme)
    shared = [name for name in joined.names if all(name in one.common().names for one in schemes.values())]
    if not shared:
        raise ValueError(f"scheme: {', '.join(schemes)} have no keypoint in common, so there is no intersection")
    return joined.take(shared)


def _complete(kind: type[Scheme], names: Iterable[str], **fields: Any) -> Scheme:
    names = tuple(names)
    if kind is KeypointScheme:
        if not fields.keys() - {"skeleton"}:
            for known in KNOWN[kind].values():
                if names == known.names:
                    return known
        if fields.get("mirrored") is None:
            fields["mirrored"] = partners_by_name(names)[0]
        if isinstance(fields.get("classes"), Mapping):
            fields["classes"] = ClassScheme(**fields["classes"])
    return kind(names, **fields)


def find_data_sets(names: Sequence[str] = (), count: int | None = None) -> list[str]:
    """The known data sets that have, or whose files have, exactly these names of keypoints, or as many.

    Args:
        names: of a file, in its order.
        count: of keypoints, where nobody names them.
    """
    known = [one for one in KNOWN[KeypointScheme].values() if isinstance(one, KeypointScheme) and one.title]
    if count is not None:
        return [one.title for one in known if len(one.names) == count]
    return [one.title for one in known if tuple(names) in (one.names, one.file_names)]


def scheme_fields(scheme: Scheme) -> dict:
    """The fields of a scheme as plain values, which `resolve_scheme` turns back and json can hold."""
    return dataclasses.asdict(scheme)


def check_same(data: Scheme, head: Scheme, what: str = "the data", stated: bool = False) -> None:
    """Refuse data that a head cannot be trained or scored on.

    Fine are the same names in any order, data with fewer keypoints than the head has, and numbered classes up to the
    head's number; where the config states both schemes, all keypoints that they share. Values also are of one kind and
    point to the same directions.

    Args:
        data: scheme of the data.
        head: scheme of the head.
        what: what messages call the data.
        stated: whether the config states the scheme of this data and that of the head.

    Raises:
        DataError: of another kind, with names that the head does not have, or with other classes.
    """
    ours, theirs = head.common().names, data.common().names
    if isinstance(data, ValueScheme) and isinstance(head, ValueScheme):
        for field, mine, other in (
            ("values", head.values, data.values),
            ("directions", dict(head.directions), dict(data.directions)),
        ):
            if mine != other:
                raise DataError(f"{what} has the {field} {other!r}, the head {mine!r}: give both one scheme")
    if type(data) is type(head):
        if ours == theirs or set(theirs) == set(ours):
            return
        if isinstance(data, ClassScheme) and isinstance(head, ClassScheme) and (data.numbered or head.numbered):
            # Only numbered data may hold some of the classes only.
            if len(theirs) == len(ours) or (data.numbered and len(theirs) < len(ours)):
                return
        elif isinstance(data, KeypointScheme) and (
            set(theirs) < set(ours) or (stated and not set(theirs).isdisjoint(ours))
        ):
            return
    differ = [
        f"only {where} has {shorten(names)}"
        for where, names in (
            (what, [name for name in theirs if name not in ours]),
            ("the head", [name for name in ours if name not in theirs]),
        )
        if names
    ]
    raise DataError(
        f"{what} has {len(theirs)} {data.OUTPUTS} ({shorten(theirs)}), the head has {len(ours)} "
        f"{head.OUTPUTS} ({shorten(ours)}): {'; '.join(differ) or 'of another kind'}. Leave model.head.scheme out "
        "to take them from the training data"
    )


def convert(record: Record, source: Scheme, target: Scheme) -> Record:
    """Turn a record of one scheme into the same record of another, by the names that all data sets have.

    Keypoints that the source does not have are not visible and have the score 0; classes that the target does not
    have become ignored pixels, and objects and images of such classes are not allowed.

    Args:
        record: truth or prediction.
        source: its scheme.
        target: the scheme that is wanted.

    Raises:
        ValueError: an object or image has a class that the target does not have.
    """
    source, target = source.common(), target.common()
    numbered = any(isinstance(scheme, ClassScheme) and scheme.numbered for scheme in (source, target))
    if numbered or source.names == target.names:
        return record
    if isinstance(record, Objects) and record.points is not None:
        origin = target.positions_in(source.names)

        def pick(values: np.ndarray | None) -> np.ndarray | None:
            if values is None:
                return None
            picked = values[:, origin]
            picked[:, origin < 0] = 0
            return picked

        return record._replace(
            points=pick(record.points), visible=pick(record.visible), point_scores=pick(record.point_scores)
        )
    if isinstance(record, ValueMap):
        return ValueMap(record.values[target.positions_in(source.names)])
    place = source.positions_in(target.names)
    if isinstance(record, LabelMap):
        table = np.full(256, IGNORED, np.uint8)
        table[: len(place)] = np.where(place < 0, IGNORED, place)
        return LabelMap(table[record.label_map])
    labels = np.atleast_1d(record.labels if isinstance(record, Objects) else record.label)
    if (place[labels] < 0).any():
        missing = sorted({source.names[label] for label in labels[place[labels] < 0].tolist()})
        raise ValueError(f"{missing} are not among {list(target.names)}")
    if isinstance(record, Category):
        scores = record.class_scores
        if scores is not None:
            origin = target.positions_in(source.names)
            scores = np.where(origin < 0, 0, scores[origin])
        return Category(int(place[record.label]), scores)
    return record._replace(labels=place[record.labels])
