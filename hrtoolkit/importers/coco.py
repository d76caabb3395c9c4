"""COCO's format as labelling tools export it (https://cocodataset.org/#format-data).

CVAT, Roboflow and Label Studio write it too. Label Studio writes a person's box and keypoints as two annotations of two
classes, which are joined.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from hrtoolkit.data.fields import BOX, COUNT, FLAG, ID, NUMBER, NUMBERS, QUANTITY, TEXT, Field, find_faults
from hrtoolkit.data.reading import stream_json
from hrtoolkit.errors import DataError
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.joining import join_points_to_boxes
from hrtoolkit.importers.source import Source
from hrtoolkit.masks import RUN_LENGTHS, inspect_segmentation

IMAGE = {"id": ID, "file_name": TEXT, "width": QUANTITY.or_nothing(), "height": QUANTITY.or_nothing()}
ANNOTATION = {
    "image_id": ID,
    "category_id": COUNT,
    "bbox": BOX._replace(allows=lambda v: len(v) in (0, 4)).or_nothing(),
    "area": QUANTITY.or_nothing(),
    "iscrowd": FLAG.or_nothing(),
    "keypoints": NUMBERS._replace(entries=NUMBER | {type(None)}).or_nothing(),
}
CATEGORY = {"id": COUNT, "name": TEXT, "keypoints": Field("a list of names", frozenset((list,))).or_nothing()}


# An object: Label Studio's own json is a list of tasks. Its notes.json beside YOLO's files has classes alone.
MARK = (
    r'\A[^\w\[{]*\{.*"(images"\s*:\s*\[|categories"\s*:\s*\[|annotations"\s*:\s*\[.*"image_id")'
    r'(?!.*"contributor": "Label Studio"\s*\}\s*\}\s*\Z)'
)


@register_format("coco", title="COCO's format", suffixes=(".json",), mark=MARK)
def read_coco(source: Source) -> Iterator[Picture]:
    """Read COCO's json: boxes, keypoints, polygons and run lengths."""
    for file in _choose(source):
        with tempfile.TemporaryFile("w+b") as spilled:
            yield from _read_file(file, source, spilled)


def _choose(source: Source) -> list[Path]:
    """One file a split: people's keypoints and objects of the same images stand in two files of COCO's own."""
    chosen: dict[str, Path] = {}
    for file in source.files:
        split = source.split_of(file)
        other = chosen.setdefault(split, file)
        if other == file:
            continue
        if "keypoints" in file.name and "keypoints" not in other.name:
            chosen[split], other = file, other
        else:
            other = file
        remedy = f"{chosen[split].name} is read; give another one by its path instead of the folder"
        source.note(f"further files of {split or 'the same pictures'}", other.name, remedy)
    return list(chosen.values())


def _read_file(file: Path, source: Source, spilled: IO[bytes]) -> Iterator[Picture]:
    images: list[dict] = []
    categories: dict[int, dict] = {}
    places: dict[Any, list[int]] = defaultdict(list)  # of an image's annotations in the spilled file
    for section, record in stream_json(file):
        if section == "images" and _is_sound(record, IMAGE, "images", file, source):
            images.append({key: record.get(key) for key in IMAGE})
        elif section == "categories" and _is_sound(record, CATEGORY, "categories", file, source):
            categories[int(record["id"])] = record
        elif section == "annotations" and _is_sound(record, ANNOTATION, "annotations", file, source):
            places[record["image_id"]].append(spilled.tell())
            spilled.write(json.dumps(record).encode() + b"\n")
        elif section == "":
            raise DataError(f"{file}: a list; COCO's format is an object with images, annotations and categories")
    source.raise_faults()
    used = _declare(categories, source, file)
    listed = {image["id"] for image in images}
    for image_id in places.keys() - listed:
        source.fault("annotations of an image that the file does not list", f"image {image_id}", "correct them")
    join, split = _joins(categories, source), source.split_of(file)
    for image in images:
        instances = []
        for place in places[image["id"]]:
            spilled.seek(place)
            instance = _instance(json.loads(spilled.readline()), used, file, source)
            instances += [] if instance is None else [instance]
        if join:
            alone = [one._replace(box_xyxy=None, area=None) if one.points else one for one in instances]
            instances = join_points_to_boxes(alone, source)
        yield Picture(
            name=image["file_name"],
            instances=instances,
            file=source.find_image(image["file_name"], file.parent),
            size_wh=(int(image["width"]), int(image["height"])) if image["width"] and image["height"] else None,
            split=split,
            id=image["id"] if isinstance(image["id"], int) else None,
        )


def _is_sound(record: Any, fields: Mapping[str, Field], section: str, file: Path, source: Source) -> bool:
    faults = list(find_faults(record, fields))
    for fault, value in faults:
        which = record.get("id", record.get("image_id")) if isinstance(record, dict) else record
        shown = f"{file.name}, id {which}" + (f": {value}" if value else "")
        source.fault(f"{section} {fault}", shown[:200], "correct them")
    return not faults


def _declare(categories: Mapping[int, dict], source: Source, file: Path) -> dict[int, str]:
    """Declare the classes in the order of their ids; gives their names by id."""
    parents = {str(one.get("supercategory")) for one in categories.values()}
    for number, one in sorted(categories.items()):
        if number == 0 and one["name"] in parents and len(categories) > 1 and not one.get("keypoints"):
            continue  # Roboflow's first class is the project
        names = [str(name) for name in one.get("keypoints") or ()]
        known = source.schemes.get(one["name"])
        if known is not None and list(known.names) != names:
            what = f"other keypoints of {one['name']!r} in {file.name}"
            raise DataError(f"{source.path}: {what} than in the files before; import the files one by one")
        if len(set(names)) < len(names):
            raise DataError(f"{file}: the keypoints of category {one['name']!r} have a name twice; correct it")
        source.declare(one["name"], names, _skeleton(one, names), one.get("mirrored"), number)
    return {number: one["name"] for number, one in categories.items()}


def _skeleton(category: dict, names: list[str]) -> list[tuple[str, str]]:
    """Lines between keypoints, which are counted from 1; those that lead nowhere are left out."""
    lines = category.get("skeleton")
    pairs = [line for line in lines if isinstance(line, list) and len(line) == 2] if isinstance(lines, list) else []
    numbers = range(1, len(names) + 1)
    return [(names[a - 1], names[b - 1]) for a, b in pairs if a in numbers and b in numbers and a != b]


def _joins(categories: Mapping[int, dict], source: Source) -> bool:
    """Whether boxes and keypoints are joined: by default those of Label Studio, which calls all keypoints "default"."""
    pointed = [one["name"] for one in categories.values() if one.get("keypoints")]
    if source.join is not None or pointed != ["default"] or len(categories) == 1:
        return bool(source.join)
    remedy = "keypoints get the box that they lie in; --no-join leaves them apart"
    source.note("boxes and keypoints as two annotations", "category default", remedy)
    return True


def _instance(record: dict, names: Mapping[int, str], file: Path, source: Source) -> Instance | None:
    where = f"{file.name}, id {record.get('id')}"
    label = names.get(int(record["category_id"]))
    if label is None:
        source.fault("annotations of a category that the file does not list", where, "correct them")
        return None
    box = record.get("bbox") or None
    if box is not None:
        box = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    outline = record.get("segmentation") or None
    if outline is not None and inspect_segmentation(outline).state > RUN_LENGTHS:
        source.note("segmentations that are no outline", where)
        outline = None
    return Instance(
        label=label,
        box_xyxy=box,
        points=_points(record, label, where, source),
        polygons=outline if isinstance(outline, list) else None,
        run_lengths=outline if isinstance(outline, dict) else None,
        area=record.get("area"),
        crowd=bool(record.get("iscrowd")),
        ignored=bool(record.get("ignore")),
        id=record.get("id"),
        attributes=record.get("attributes") or None,
    )


def _points(record: dict, label: str, where: str, source: Source) -> dict[str, tuple[float, float, int]] | None:
    flat = record.get("keypoints")
    if not flat:
        return None
    scheme = source.schemes.get(label)
    names = scheme.names if scheme else [str(number) for number in range(1, len(flat) // 3 + 1)]
    if len(flat) != 3 * len(names):
        what = f"annotations whose `keypoints` are not {len(names)} times x, y, visibility"
        source.fault(what, where, "correct them, or the names of the category")
        return None
    values = np.array(flat, dtype=float).reshape(-1, 3)
    if not np.isfinite(values[values[:, 2] > 0]).all():
        source.fault("labelled keypoints that are not finite", where, "correct them")
        return None
    return {name: (x, y, int(v)) for name, (x, y, v) in zip(names, values.tolist(), strict=True) if v > 0}
