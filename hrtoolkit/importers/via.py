"""VGG Image Annotator 1 and 2: projects, and exports as json and csv (https://www.robots.ox.ac.uk/~vgg/software/via).

Every region has attributes whose names the project chose, so the one that holds the class is chosen here. Points are
regions too. Where there are other shapes as well, they are keypoints of those they lie in. Else they are keypoints of
one thing where no image has a class of points twice, and things of their own where one has.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from hrtoolkit.data.reading import stream_csv, stream_json
from hrtoolkit.errors import DataError
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.joining import join_points_to_boxes
from hrtoolkit.importers.loose_points import LoosePoint, PointGatherer
from hrtoolkit.importers.shapes import ellipse_outline, to_ring
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.values import number, read_record

OBJECT = "object"  # the class of what has no attributes
USUAL = ("label", "class", "category", "name", "type", "object")  # names of the attribute that holds the class
GATHER, ONE, ALONE = "gather", "one", "alone"  # what points are
MANY = 100  # values that no attribute for a class has
IMAGES = "_via_img_metadata"  # of a project
HEADS = ("filename", "region_shape_attributes", "region_attributes")  # columns of a csv


class Record(NamedTuple):
    """An image as a file has it."""

    where: str
    name: str
    regions: list[dict]


@register_format(
    "via",
    title="VIA's format",
    suffixes=(".json", ".csv"),
    mark=r'"(shape|file)_attributes"|"_via_|\A.{0,6}filename\b[^\n]*region_shape_attributes',
)
def read_via(source: Source) -> Iterator[Picture]:
    """Read VIA's projects, json and csv."""
    chosen, way = _choose(source)
    gatherer = PointGatherer(source)
    seen: dict[tuple[str, str], Path] = {}
    # The same images stand in a project, in its json and in its csv.
    for file in sorted(source.files, key=lambda file: (file.suffix.lower() == ".csv", file)):
        for record in _stream(file, source):
            if seen.setdefault((str(file.parent), record.name), file) != file:
                source.note("images that two files have, of which one is read", record.where)
                continue
            found = source.find_image(record.name, file.parent)
            instances, points = _read_regions(record, chosen, source)
            if way == GATHER:
                instances = gatherer.gather(points, [(None, one) for one in instances])
            elif way == ONE and points:
                instances = [*instances, Instance(OBJECT, points={one.name: one.point for one in points})]
                instances = instances if source.join is False else join_points_to_boxes(instances, source)
            else:
                instances += [Instance(one.name if chosen else OBJECT, points={"1": one.point}) for one in points]
            yield Picture(record.name, instances, found, split=source.split_of(file))
    gatherer.finish()


def _stream(file: Path, source: Source) -> Iterator[Record]:
    records = _stream_csv(file) if file.suffix.lower() == ".csv" else stream_json(file, (IMAGES,))
    for key, value in records:
        if key == IMAGES:
            key, value = value
        elif key.startswith("_via_"):
            continue
        record = None
        with read_record(source, f"{file.name}, {key}", "images"):
            regions = value["regions"]
            regions = list(regions.values()) if isinstance(regions, dict) else regions  # version 1 numbers them
            if not isinstance(regions, list) or not isinstance(value["filename"], str):
                raise TypeError("expected a filename and a list of regions")
            record = Record(f"{file.name}, {key}", value["filename"], regions)
        if record is not None:
            yield record


def _stream_csv(file: Path) -> Iterator[tuple[str, dict]]:
    rows = stream_csv(file)
    heads = [head.strip().lstrip("#") for head in next(rows)[1]]
    if not set(HEADS) <= set(heads):
        raise DataError(f"{file}: expected columns called {', '.join(HEADS)}")
    places = [heads.index(head) for head in HEADS]

    def read(line: int, row: list[str]) -> tuple[str, dict]:
        try:
            name, shape, attributes = (row[place] for place in places)
            return name, {"shape_attributes": json.loads(shape), "region_attributes": json.loads(attributes)}
        except (IndexError, ValueError) as error:
            raise DataError(f"{file}: line {line} is no row of VIA's ({error}); export it again") from None

    for name, regions in groupby((read(*row) for row in rows), key=lambda read: read[0]):
        yield name, {"filename": name, "regions": [region for _, region in regions if region["shape_attributes"]]}


def _choose(source: Source) -> tuple[str | None, str]:
    """The attribute that holds the class, and what points are."""
    filled: Counter[str] = Counter()
    values: dict[str, set[str]] = defaultdict(set)
    repeated, most, names, shapes = False, 0, set(), 0
    for record in (record for file in source.files for record in _stream(file, source)):
        points = []
        with read_record(source, record.where, "images"):
            for region in record.regions:
                attributes = {name: _text(value) for name, value in (region.get("region_attributes") or {}).items()}
                for name, text in attributes.items():
                    filled[name] += bool(text)
                    values[name] |= {text} if len(values[name]) < MANY else set()
                if (region.get("shape_attributes") or {}).get("name") == "point":
                    points.append(tuple(sorted(attributes.items())))
        repeated |= len(set(points)) < len(points) and any(points)
        most = max(most, len(points))
        names |= set(points)
        shapes += len(record.regions) - len(points)
    source.raise_faults()
    if not filled:
        return None, ONE if most > 1 else ALONE
    chosen = min(filled, key=lambda name: (_rank(name), -filled[name], len(values[name])))
    if len(filled) > 1:
        others = ", ".join(sorted(filled.keys() - {chosen}))
        source.note("attributes of which one is taken for the class", f"{chosen}, not {others}", "others are left out")
    if shapes and len(names) > 1:
        return chosen, GATHER
    return chosen, ALONE if repeated or most < 2 else ONE


def _rank(name: str) -> int:
    return next((place for place, usual in enumerate(USUAL) if usual in name.lower()), len(USUAL))


def _text(value: Any) -> str:
    """An attribute's value: of a checkbox, the first option that is set."""
    if isinstance(value, dict):
        return next((str(option) for option, is_set in value.items() if is_set), "")
    return "" if value is None else str(value).strip()


def _read_regions(record: Record, chosen: str | None, source: Source) -> tuple[list[Instance], list[LoosePoint]]:
    """The shapes of an image that are objects, and its points."""
    instances: list[Instance] = []
    points: list[LoosePoint] = []
    for index, region in enumerate(record.regions):
        where = f"{record.where}, region {index}"
        with read_record(source, where, "regions"):
            shape = region["shape_attributes"]
            label = _text((region.get("region_attributes") or {}).get(chosen)) if chosen else ""
            if chosen and not label:
                source.warn(f"regions without {chosen!r}", where, f"they are called {OBJECT!r}")
            if shape["name"] == "point":
                place = (number(shape["cx"]), number(shape["cy"]), 2)
                name = label or (OBJECT if chosen else str(len(points) + 1))
                points.append(LoosePoint(name, place, None, where))
            elif (one := _shape(label or OBJECT, shape)) is not None:
                instances.append(one)
            else:
                source.note(f"shapes that are no object: {shape['name']}", where)
    return instances, points


def _shape(label: str, shape: dict) -> Instance | None:
    if shape["name"] == "rect":
        x, y, width, height = (number(shape[name]) for name in ("x", "y", "width", "height"))
        return Instance(label, box_xyxy=(x, y, x + width, y + height))
    if shape["name"] in ("circle", "ellipse"):
        radii = (number(shape["r"]),) * 2 if shape["name"] == "circle" else (number(shape["rx"]), number(shape["ry"]))
        outline = ellipse_outline(number(shape["cx"]), number(shape["cy"]), *radii, number(shape.get("theta") or 0))
        return Instance(label, polygons=[outline])
    if shape["name"] == "polygon":
        xs, ys = shape["all_points_x"], shape["all_points_y"]
        return Instance(label, polygons=[to_ring((number(x), number(y)) for x, y in zip(xs, ys, strict=True))])
    return None
