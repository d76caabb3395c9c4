"""V7 Darwin's json, one file an image and set of annotations (https://docs.v7labs.com/reference/darwin-json).

Several files may be of one image. Masks are empty; their pixels stand in a raster layer, which numbers them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hrtoolkit.data.reading import read_json
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.shapes import ellipse_outline, outline_of_rings, to_ring
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.values import number, read_record
from hrtoolkit.masks import encode_masks

LAYER = "raster_layer"
IMAGES = "images"  # folder of an export, from which the folders of items go
META = ".v7/metadata.json"  # of an export: the classes
SHAPES = ("skeleton", "polygon", "complex_polygon", "ellipse", "bounding_box", "keypoint", "mask", LAYER)


@register_format(
    "darwin",
    title="V7 Darwin's json",
    suffixes=(".json",),
    mark=r'"schema_ref"\s*:\s*"[^"]*darwin|"slots"\s*:\s*\[|"bounding_box"\s*:\s*\{|"workview_url"',
)
def read_darwin(source: Source) -> Iterator[Picture]:
    """Read Darwin's boxes, polygons, ellipses, masks, points and skeletons."""
    _declare(source)
    files: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in source.files:
        with read_record(source, file.name, "files"):
            files[_item(read_json(file))[:2]].append(file)
    for (folder, name), own in files.items():
        annotations: dict[Any, tuple[str, dict]] = {}  # one may stand in two files
        size = None
        for file in own:
            data: Any = read_json(file)
            with read_record(source, file.name, "files"):
                size = _item(data)[2] or size
                for index, one in enumerate(data["annotations"]):
                    annotations.setdefault(
                        one.get("id", (file, index)), (f"{file.name}, {one.get('name')} {index}", one)
                    )
        image = source.find_image(f"{IMAGES}/{folder}/{name}", source.folder)
        yield Picture(name, _instances(annotations, size, source), image, size, split=source.split_of(own[0]))


def _item(data: dict) -> tuple[str, str, tuple[int, int] | None]:
    """Folder, name and size of the image; version 1 has `image` for them."""
    item = data.get("item") or {"name": data["image"]["filename"], **data["image"], "slots": [data["image"]]}
    slot = (item.get("slots") or [{}])[0]
    if slot.get("type", "image") != "image" or "frame_count" in slot:
        raise ValueError(f"annotations of a {slot.get('type', 'video')}; export its frames as images")
    width, height = slot.get("width"), slot.get("height")
    size = (int(number(width)), int(number(height))) if width and height else None
    return str(item.get("path") or "/"), item["name"], size


def _declare(source: Source) -> None:
    """Declare the skeletons of an export that holds its classes."""
    path = source.folder / META
    if not path.is_file():
        return
    with read_record(source, META, "classes"):
        for one in read_json(path)["classes"]:
            skeleton = one.get("skeleton") or {}
            lines = [(edge["from"], edge["to"]) for edge in skeleton.get("edges") or ()]
            source.declare(one["name"], [node["name"] for node in skeleton.get("nodes") or ()], lines)


def _instances(
    annotations: dict[Any, tuple[str, dict]], size: tuple[int, int] | None, source: Source
) -> list[Instance]:
    instances, masks = [], {}
    for where, one in annotations.values():
        if LAYER in one:
            with read_record(source, where, "masks"):
                masks.update(_masks(one[LAYER], size))
    for key, (where, one) in annotations.items():
        kind = next((kind for kind in SHAPES if kind in one), None)
        if kind is None:
            left = sorted(
                one.keys() - {"id", "name", "slot_names", "properties", "annotators", "reviewers", "updated_at"}
            )
            source.note("annotations that are no object", f"{where}: {', '.join(left)}")
        elif kind == "mask" and key not in masks:
            source.note("masks without pixels", where)
        elif kind != LAYER:
            with read_record(source, where, "annotations"):
                fields = {"run_lengths": masks[key]} if kind == "mask" else _read_shape(kind, one[kind], size)
                if "bounding_box" in one:
                    x, y, width, height = (number(one["bounding_box"][side]) for side in "xywh")
                    fields["box_xyxy"] = (x, y, x + width, y + height)
                instances.append(Instance(one["name"], **fields))
    return instances


def _read_shape(kind: str, shape: dict, size: tuple[int, int] | None) -> dict:
    """The fields of an instance; a box is read by who calls."""
    if kind == "skeleton":
        nodes = shape["nodes"]
        places = {node["name"]: (*_xy(node), 1 if node.get("occluded") else 2) for node in nodes}
        if len(places) < len(nodes):
            raise ValueError("a skeleton with two nodes of one name")
        return {"points": places}
    if kind == "keypoint":
        return {"points": {"1": (*_xy(shape), 2)}}
    if kind == "ellipse":
        return {"polygons": [ellipse_outline(*_xy(shape["center"]), *_xy(shape["radius"]), number(shape["angle"]))]}
    if kind == "bounding_box":
        return {}
    paths = shape.get("paths") or [shape["path"], *shape.get("additional_paths", ())]
    rings = [[value for corner in path for value in _xy(corner)] for path in paths]
    if size is None:
        if len(rings) > 1:
            raise ValueError("an outline of several paths in an image whose size is not stated")
        return {"polygons": [to_ring([ring]) for ring in rings]}
    return outline_of_rings(rings, size)  # the file does not say which path is a hole


def _xy(at: dict) -> tuple[float, float]:
    return number(at["x"]), number(at["y"])


def _masks(layer: dict, size: tuple[int, int] | None) -> dict[str, dict]:
    """The masks of a raster layer by the ids of their annotations: values and run lengths along rows."""
    values, runs = np.reshape(layer["dense_rle"], (-1, 2)).T
    if size is None or runs.min() < 0 or runs.sum() != size[0] * size[1]:
        raise ValueError("run lengths that do not fill the image")
    pixels = np.repeat(values, runs).reshape(size[1], size[0])
    ids = {key: pixels == value for key, value in layer["mask_annotation_ids_mapping"].items()}
    return {key: encode_masks(mask[None])[0] for key, mask in ids.items() if mask.any()}
