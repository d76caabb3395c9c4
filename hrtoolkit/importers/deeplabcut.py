"""DeepLabCut's labels: a table a video, CollectedData_SCORER.csv, with the same as HDF5 beside it.

Columns have three names (scorer, body part, coordinate), or four with several animals, whose second is the individual.
The individual `single` holds parts that are there once and has a class of its own. A label is there or it is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from hrtoolkit.data.paths import read_bytes
from hrtoolkit.data.reading import stream_csv
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.hdf5 import open_hdf5, texts
from hrtoolkit.importers.source import Source

ANIMAL, UNIQUE = "animal", "single"
LEVELS = ("scorer", "individuals", "bodyparts", "coords")
KEY = "df_with_missing"  # of the table in HDF5
ROWS = 1000  # that are read at once

Column = dict[str, str]  # its names by level


@register_format(
    "deeplabcut",
    title="DeepLabCut's tables",
    suffixes=(".csv", ".h5"),
    mark=rf'\A(\xef\xbb\xbf)?"?scorer\b|\A\x89HDF.*{KEY}',
)
def read_deeplabcut(source: Source) -> Iterator[Picture]:
    """Read DeepLabCut's csv files, and its h5 files where there is no csv."""
    for file in _choose(source):
        table = _stream_h5(file) if file.suffix.lower() == ".h5" else _stream_csv(file)
        columns = next(table)
        if {"likelihood"} & {column["coords"] for column in columns}:
            source.note("predictions", file.name)
            continue
        scorers = sorted({column["scorer"] for column in columns})
        if len(scorers) > 1:
            raise DataError(f"{file}: labels of {len(scorers)} scorers ({shorten(scorers)}); keep the columns of one")
        _declare(columns, file, source)
        for where, name, values in table:
            place = f"{file.name}, {where}"
            yield Picture(name, _instances(columns, values, place, source), _find_image(name, file, source))


def _choose(source: Source) -> list[Path]:
    """One file a folder; those of a training set repeat what the folders of the videos hold."""
    merged = [file for file in source.files if "training-datasets" in file.parts]
    files = [file for file in source.files if file not in merged] or merged
    if len(files) < len(source.files):
        source.note("tables of training sets, which repeat those of the videos", merged[0].name)
    collected = [file for file in files if file.name.startswith("CollectedData")]
    if collected and len(collected) < len(files):
        for other in files:
            if other not in collected:
                source.note("tables beside CollectedData", other.name)
    chosen: dict[Path, Path] = {}
    for file in sorted(collected or files, key=lambda file: (file.suffix.lower() == ".h5", file)):
        other = chosen.setdefault(file.parent, file)
        if other.stem == file.stem:
            if other != file:
                source.note("h5 files beside a csv of the same labels", file.name)
        elif collected:
            both = f"{other.name} and {file.name}"
            raise DataError(f"{file.parent}: two tables of labels, {both}; keep that of one scorer")
        else:
            chosen[file] = file
    return sorted(chosen.values())


def _stream_csv(file: Path) -> Iterator[Any]:
    """The columns, and then for every image where it stands, its path and its values."""
    heads: dict[str, list[str]] = {}
    columns: list[Column] = []
    for line, row in stream_csv(file):
        level = row[0].strip().lower()
        if not columns and level in LEVELS:
            heads[level] = [cell.strip() for cell in row]
            if level != "coords":
                continue
            start = heads[level].index("x") if "x" in heads[level] else 0
            if not start or {len(names) for names in heads.values()} != {len(row)} or "bodyparts" not in heads:
                raise DataError(f"{file}: expected rows called scorer, bodyparts and coords, of one length, at its top")
            columns = [dict(zip(heads, names, strict=True)) for names in zip(*heads.values(), strict=True)][start:]
            yield columns
        elif not columns:
            raise DataError(f"{file}: line {line} begins with {row[0]!r:.40}; expected one of {', '.join(LEVELS)}")
        elif len(row) != start + len(columns):
            raise DataError(f"{file}: line {line} has {len(row)} cells, its top has {start + len(columns)}; correct it")
        elif any(row[:start]):
            yield f"line {line}", "/".join(cell.strip() for cell in row[:start]), row[start:]
    if not columns:
        raise DataError(f"{file}: no row called coords, and no labels; export it again")


def _stream_h5(file: Path) -> Iterator[Any]:
    """The same from a table that pandas wrote in its fixed layout."""
    with open_hdf5(file) as opened:
        table = opened[KEY]
        if "block0_values" not in table or table.attrs["nblocks"] != 1:
            raise DataError(f"{file}: not as DeepLabCut writes tables; export a csv beside it")
        names = list(zip(*_index(table, "block0_items"), strict=True))
        levels = LEVELS if len(names[0]) == len(LEVELS) else ("scorer", "bodyparts", "coords")
        columns = [dict(zip(levels, column, strict=True)) for column in names]
        order = {column: place for place, column in enumerate(zip(*_index(table, "axis0"), strict=True))}
        places = sorted(range(len(names)), key=lambda place: order[names[place]])
        yield [columns[place] for place in places]
        paths = ["/".join(parts) for parts in zip(*_index(table, "axis1"), strict=True)]
        for start in range(0, len(paths), ROWS):
            block = table["block0_values"][start : start + ROWS]
            for offset, values in enumerate(block):
                yield f"row {start + offset}", paths[start + offset], [float(values[place]) for place in places]


def _index(table: Any, axis: str) -> list[list[str]]:
    """The names of an axis, level by level."""
    if axis in table:
        return [texts(table[axis][()])]
    count = sum(f"{axis}_level{level}" in table for level in range(len(LEVELS)))
    levels = [(texts(table[f"{axis}_level{n}"][()]), table[f"{axis}_label{n}"][()]) for n in range(count)]
    return [[names[label] for label in labels] for names, labels in levels]


def _declare(columns: Sequence[Column], file: Path, source: Source) -> None:
    config = next((folder / "config.yaml" for folder in file.parents[:3] if (folder / "config.yaml").is_file()), None)
    lines = _read_skeleton(config) if config else []
    for label in dict.fromkeys(map(_label, columns)):
        names = list(dict.fromkeys(column["bodyparts"] for column in columns if _label(column) == label))
        known = source.schemes.get(label)
        if known is not None and set(names) != set(known.names):
            source.note("other body parts than in the tables before", file.name, "the class has all of them")
            names = [*known.names, *(name for name in names if name not in known.names)]
        source.declare(label, names, [line for line in lines if set(line) <= set(names) and line[0] != line[1]])


def _read_skeleton(config: Path) -> list[tuple[str, str]]:
    try:
        lines = yaml.safe_load(read_bytes(config))["skeleton"]
        return list(dict.fromkeys((str(a), str(b)) for a, b in lines or ()))
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        return []  # a picture's lines are no reason to stop


def _label(column: Column) -> str:
    return UNIQUE if column.get("individuals") == UNIQUE else ANIMAL


def _instances(columns: Sequence[Column], values: Sequence[str | float], where: str, source: Source) -> list[Instance]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for column, cell in zip(columns, values, strict=True):
        try:
            value = float(cell) if cell != "" else math.nan
        except ValueError:
            source.fault("cells that hold no number", f"{where}, {column['bodyparts']}: {cell!r:.40}", "correct them")
            return []
        if math.isfinite(value):
            parts = found.setdefault(column.get("individuals", ""), {})
            parts.setdefault(column["bodyparts"], {})[column["coords"]] = value
    instances = []
    for individual, parts in found.items():
        points = {name: (at["x"], at["y"], 2) for name, at in parts.items() if len(at) == 2}
        if len(points) < len(parts):
            lacking = next(name for name, at in parts.items() if len(at) < 2)
            source.fault("labels with one coordinate of two", f"{where}, {lacking}", "complete or empty both cells")
        label = UNIQUE if individual == UNIQUE else ANIMAL
        track = {"track": individual} if individual and label == ANIMAL else None
        instances.append(Instance(label, points=points, attributes=track))
    return instances


def _find_image(name: str, file: Path, source: Source) -> Path | None:
    """Beside the table, wherever the project lies now; a path in the table begins at the project."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    beside = file.parent / last
    return beside if beside.is_file() else source.find_image(name, file.parents[min(2, len(file.parents) - 1)])
