"""Supervisely's projects: meta.json, and in each data set one json an image (https://docs.supervisely.com)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hrtoolkit.data.reading import read_json
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.shapes import outline_of_rings, paste_mask
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.values import number, read_record
from hrtoolkit.runtime.images import read_header

META = "meta.json"
DEPTH = 6  # folders between a file and the project's
LARGEST = 2**26  # bytes of a packed mask


@register_format(
    "supervisely",
    title="Supervisely's format",
    suffixes=(".json",),
    mark=r'"classTitle"|"size"\s*:\s*\{.*"objects"\s*:\s*\[|"objects"\s*:\s*\[.*"size"\s*:\s*\{',
)
def read_supervisely(source: Source) -> Iterator[Picture]:
    """Read Supervisely's rectangles, polygons, bitmaps, points and graphs of keypoints."""
    nodes: dict[str, dict[str, str]] = {}  # names of a class's keypoints by id
    for project in dict.fromkeys(filter(None, map(_find_meta, source.files))):
        with read_record(source, str(project), "classes"):
            for one in read_json(project)["classes"]:
                nodes[one["title"]] = _declare(one, source)
    for file in source.files:
        data: Any = read_json(file)
        with read_record(source, file.name, "files"):
            size = int(number(data["size"]["width"])), int(number(data["size"]["height"]))
            instances = []
            if "framesCount" in data:
                source.fault("annotations of videos", file.name, "export the frames as a project of images")
            for index, item in enumerate(data["objects"]):
                where = f"{file.name}, object {item.get('id', index)}"
                with read_record(source, where, "objects"):
                    fields = _read_shape(item, nodes, size)
                    if fields is None:
                        source.note(f"shapes that are no object: {item.get('geometryType')}", where)
                    else:
                        tags = [tag["name"] for tag in item.get("tags") or ()]
                        instances.append(
                            Instance(item["classTitle"], attributes={"tags": tags} if tags else None, **fields)
                        )
            image = source.find_image(f"img/{file.stem}", file.parent.parent)
            yield Picture(file.stem, instances, image, size, split=source.split_of(file))


def _find_meta(file: Path) -> Path | None:
    return next((folder / META for folder in file.parents[:DEPTH] if (folder / META).is_file()), None)


def _declare(one: dict, source: Source) -> dict[str, str]:
    """Declare a class; gives the names of its nodes by id."""
    graph = one.get("geometry_config") or {}
    names: dict[str, str] = {}
    for place, (node, about) in enumerate((graph.get("nodes") or {}).items(), start=1):
        name = str(about.get("label") or place)
        names[node] = f"{name} {place}" if name in names.values() else name
    lines = [
        (names[edge["src"]], names[edge["dst"]]) for edge in graph.get("edges") or () if edge["src"] != edge["dst"]
    ]
    source.declare(one["title"], list(names.values()), lines)
    return names


def _read_shape(item: dict, nodes: Mapping[str, Mapping[str, str]], size: tuple[int, int]) -> dict | None:
    """The fields of an instance; None where the shape is no object."""
    kind = item.get("geometryType") or ("bitmap" if "bitmap" in item else "polygon")
    if kind == "graph":
        names = nodes.get(item["classTitle"], {})
        unknown = item["nodes"].keys() - names.keys()
        if unknown:
            raise ValueError(f"meta.json has no node {min(unknown)} of class {item['classTitle']!r}")
        labelled = {names[key]: node["loc"] for key, node in item["nodes"].items() if not node.get("disabled")}
        return {"points": {name: (number(loc[0]), number(loc[1]), 2) for name, loc in labelled.items()}}
    if kind == "bitmap":
        return {"run_lengths": _read_bitmap(item["bitmap"], size)}
    rings = [[number(value) for corner in item["points"]["exterior"] for value in corner]]
    rings += [[number(value) for corner in ring for value in corner] for ring in item["points"].get("interior") or ()]
    if kind == "point":
        return {"points": {"1": (*rings[0], 2)}}
    if kind == "rectangle":
        (x1, x2), (y1, y2) = sorted(rings[0][::2]), sorted(rings[0][1::2])
        return {"box_xyxy": (x1, y1, x2, y2)}
    return outline_of_rings(rings, size) if kind == "polygon" else None


def _read_bitmap(bitmap: dict, size: tuple[int, int]) -> dict:
    """Unpack a mask: zlib around a png, of the part of the image that begins at its origin."""
    data = zlib.decompressobj().decompress(base64.b64decode(bitmap["data"]), LARGEST)
    x, y = (int(number(value)) for value in bitmap["origin"])
    header = read_header(data)
    if header is None or x < 0 or y < 0 or x + header.width > size[0] or y + header.height > size[1]:
        raise ValueError("a bitmap that does not fit into the image")
    drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if drawn is None:
        raise ValueError("a bitmap that is no png")
    return paste_mask(drawn[..., -1] if drawn.ndim == 3 else drawn, x, y, size)
