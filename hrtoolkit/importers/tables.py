"""Tables as csv: columns NAME_x, NAME_y and NAME_v of keypoints, or the sides of a box, beside the name of an image.

Kaggle's facial keypoints have the image itself in a cell, as grey values row by row.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hrtoolkit.data.reading import stream_csv
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.source import Source, is_image
from hrtoolkit.importers.values import read_record, spelled

OBJECT = "object"  # the class where no column has one
IMAGES = (
    "image", "image_name", "image_path", "image_file", "filename", "file_name", "file_path", "filepath", "file", "path",
    "img", "img_name", "img_path", "imagename", "image_id", "imageid", "name", "id", "frame",
)  # fmt: skip
LABELS = ("class", "label", "class_name", "category", "species")
EDGES = (
    ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"), ("x_1", "y_1", "x_2", "y_2"),
)  # fmt: skip
SIZES = (
    ("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height"),
    ("bbox_x", "bbox_y", "bbox_w", "bbox_h"), ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
)  # fmt: skip
AFTER = re.compile(r"(.+?)[_. -]?(?<=[_. -])(x|y|v|vis|visible|visibility)")
BEFORE = re.compile(r"(x|y|v)[_. -]?(\d+)")
PIXELS = re.compile(r"\d+( +\d+){15,}")
TRUTHS = {"true": 2, "false": 1}
FEWEST = 3  # points that tell a scale


class Layout(NamedTuple):
    """Columns of a table."""

    image: int | None
    pixels: int | None  # that holds the image itself
    label: int | None
    box: tuple[int, ...]
    sized: bool  # the box by width and height
    points: dict[str, dict[str, int]]  # columns x, y and v by keypoint


@register_format(
    "csv",
    title="a table (csv)",
    suffixes=(".csv", ".tsv"),
    mark=r"(?i)\A[^\n]*([^\n,;\t]+[_. -]x\b|\bx_?min\b|\bx_?1\b|\bx[\"']?[,;\t]|\bleft\b)[^\n]*[\r\n]",
)
def read_csv(source: Source) -> Iterator[Picture]:
    """Read tables of keypoints or boxes, one object a row."""
    for file in source.files:
        layout = _layout(file)
        label_names = list(layout.points)
        if layout.label is None and label_names:
            source.declare(OBJECT, label_names)
        for name, rows in _by_image(file, layout):
            instances, pixels = [], None
            for line, row in rows:
                with read_record(source, f"{file.name}, line {line}", "rows"):
                    if layout.pixels is not None:
                        pixels = _read_pixels(row[layout.pixels])
                    instances += _instances(row, layout)
            for label in dict.fromkeys(one.label for one in instances):
                if label not in source.labels and label_names:
                    source.declare(label, label_names)
            found = None if layout.image is None else source.find_image(name, file.parent)
            yield Picture(name, instances, found, split=source.split_of(file), pixels=pixels)


def _layout(file: Path) -> Layout:
    rows = stream_csv(file)
    heads = [head.strip() for head in next(rows)[1]]
    first = next(rows, (0, []))[1]
    if len(first) != len(heads):
        raise DataError(f"{file}: no rows as long as its first, which has {len(heads)} cells; export it again")
    place = {head.lower(): index for index, head in enumerate(heads)}
    kinds = [*(() if "x3" in place or "x_3" in place else EDGES), *SIZES]
    box = next((names for names in kinds if set(names) <= place.keys()), ())
    points: dict[str, dict[str, int]] = defaultdict(dict)
    for index, head in enumerate(heads):
        after, before = AFTER.fullmatch(head.lower()), BEFORE.fullmatch(head.lower())
        if head.lower() in box:
            continue
        if after:
            name, axis = head[: after.end(1)], after[2][0]
        elif before:
            name, axis = before[2], before[1]
        else:
            continue
        points[name.rstrip("_. -")][axis] = index
    points = {name: at for name, at in points.items() if {"x", "y"} <= at.keys()}
    if not points and not box:
        raise DataError(f"{file}: no columns NAME_x and NAME_y, and none of a box, among {shorten(heads)}")
    named = [index for index in (place.get(name) for name in IMAGES) if index is not None]
    pixels = next((index for index in named if PIXELS.fullmatch(first[index].strip())), None)
    images = [*named, *(index for index, cell in enumerate(first) if is_image(cell.strip()))]
    image = next((index for index in images if index != pixels), None) if pixels is None else None
    if image is None and pixels is None:
        raise DataError(f"{file}: no column names the images, such as filename, among {shorten(heads)}")
    label = next((place[name] for name in LABELS if name in place), None)
    return Layout(image, pixels, label, tuple(place[name] for name in box), box in SIZES, points)


def _by_image(file: Path, layout: Layout) -> Iterator[tuple[str, Iterable[tuple[int, list[str]]]]]:
    """The rows of each image: as they come, or gathered where those of an image are apart."""

    def rows() -> Iterator[tuple[int, list[str]]]:
        table = stream_csv(file)
        count = len(next(table)[1])
        for line, row in table:
            if len(row) != count:
                raise DataError(f"{file}: line {line} has {len(row)} cells, its first line has {count}; correct it")
            yield line, row

    image = layout.image
    if image is None:
        for number, (line, row) in enumerate(rows()):
            yield f"{file.stem}_{number:06d}.png", [(line, row)]
        return

    def name_of(one: tuple[int, list[str]]) -> str:
        return one[1][image].strip()

    runs = [name for name, _ in groupby(map(name_of, rows()))]
    if len(set(runs)) == len(runs):
        yield from groupby(rows(), name_of)
        return
    gathered: dict[str, list] = {name: [] for name in runs}
    for one in rows():
        gathered[name_of(one)].append(one)
    yield from gathered.items()


def _read_pixels(cell: str) -> np.ndarray:
    values = np.array(cell.split(), float)
    side = math.isqrt(len(values))
    if side**2 != len(values) or not ((values >= 0) & (values <= 255)).all():
        raise ValueError(f"an image of {len(values)} values, expected a square of 0 to 255")
    return values.reshape(side, side).astype(np.uint8)


def _instances(row: Sequence[str], layout: Layout) -> list[Instance]:
    label = OBJECT if layout.label is None else row[layout.label].strip()
    if not label:
        raise ValueError("it has no class")
    points = {}
    for name, columns in layout.points.items():
        x, y, v = (row[columns[axis]].strip() if axis in columns else "" for axis in "xyv")
        if _is_empty(x) and _is_empty(y):
            continue
        visibility = TRUTHS.get(v.lower()) if v.lower() in TRUTHS else int(spelled(v)) if v else 2
        if visibility not in (0, 1, 2):
            raise ValueError(f"a visibility {v!r:.20} of {name}, expected 0, 1 or 2")
        if visibility:
            points[name] = (spelled(x), spelled(y), visibility)
    if len(points) >= FEWEST and all(0 <= value <= 1 for point in points.values() for value in point[:2]):
        raise ValueError("all its points lie within one pixel; multiply fractions by the image's width and height")
    box = [row[index].strip() for index in layout.box]
    edges = None
    if box and not all(map(_is_empty, box)):
        x1, y1, x2, y2 = map(spelled, box)
        edges = (x1, y1, x1 + x2, y1 + y2) if layout.sized else (x1, y1, x2, y2)
        if edges[2] < edges[0] or edges[3] < edges[1]:
            raise ValueError("its box ends before it begins")
    if not points and edges is None:
        return []
    return [Instance(label, box_xyxy=edges, points=points or None)]


def _is_empty(cell: str) -> bool:
    return cell.lower() in ("", "nan", "na", "none", "null")
