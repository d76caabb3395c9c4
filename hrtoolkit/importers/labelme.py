"""labelme's json, one file an image (https://github.com/wkentaro/labelme), as X-AnyLabeling writes it too.

Shapes of one label and one `group_id` are one object; without a group each is one. Keypoints are points named by their
labels, which belong to the box of their group or to the one they lie in. Nothing says that a point is hidden: what
X-AnyLabeling calls `visible` is false for those that can be seen. It marks hidden ones as `difficult`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from hrtoolkit.data.paths import read_bytes
from hrtoolkit.data.reading import read_json
from hrtoolkit.errors import DataError
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.loose_points import UNNAMED, LoosePoint, PointGatherer
from hrtoolkit.importers.shapes import ellipse_outline, paste_mask, to_ring
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.values import number, read_record

MARK = (
    r'\A[^\w\[{]*\{.*"shapes"\s*:\s*\[\s*(\]|\{.*"(points|label|shape_type)")'
    r'|\A[^\w\[{]*\{\s*"flags"\s*:.{0,999}"imageData"\s*:'  # with its keys in order, the image first
)
KEYPOINTS = {"keypoints", "keypoint", "key_points", "kpts", "landmarks", "points", "pose"}  # labels of ordered points
LEFT_OUT = {"line": "lines", "linestrip": "lines", "cuboid": "cuboids", "points": "prompts"}
HIDDEN = ("occluded", "hidden", "invisible")  # what people call a flag of a point
IGNORED = ("__ignore__", "_background_")


@register_format("labelme", title="labelme's json", suffixes=(".json",), mark=MARK)
def read_labelme(source: Source) -> Iterator[Picture]:
    """Read labelme's files: points, rectangles, polygons, circles, masks; polygons called keypoints are keypoints."""
    return _Reader(source, KEYPOINTS).read()


@register_format("labelme-polygons", title="labelme's json, with polygons as such", suffixes=(".json",), mark=MARK)
def read_labelme_polygons(source: Source) -> Iterator[Picture]:
    """Read labelme's files, whatever polygons are called."""
    return _Reader(source, set()).read()


class _Reader:
    """Reads the files of an export.

    Args:
        source: with its files.
        ordered: labels of polygons whose corners are keypoints.
    """

    def __init__(self, source: Source, ordered: set[str]):
        self.source, self.ordered = source, ordered
        self.classes = _read_classes(source)
        for label, names in self.classes.items():
            source.declare(label, names)
        self.gatherer = PointGatherer(source, {name for names in self.classes.values() for name in names})
        self.polygons: dict[str, str] = {}  # labels of polygons, and where the first one is
        self.counts: dict[str, int] = {}  # of the corners that are keypoints, by label

    def read(self) -> Iterator[Picture]:
        """The pictures, one a file."""
        used = set()
        for file in self.source.files:
            where = str(file.relative_to(self.source.folder))
            try:
                content = read_json(file)
            except DataError as error:
                self.source.fault("files that cannot be read", str(error), "save them again")
                continue
            with read_record(self.source, where, "files"):
                picture = self._picture(content, file, where)
                used.add(picture.file)
                yield picture
        for image in self.source.image_files():
            if image not in used:
                self.source.note("images without a file of annotations", image.name)
        for label in self.polygons.keys() & self.gatherer.names:
            remedy = "draw points, or give the outline another label"
            self.source.fault("polygons where points belong", f"{self.polygons[label]}: {label}", remedy)
        self.gatherer.finish()

    def _picture(self, content: dict[str, Any], file: Path, where: str) -> Picture:
        width, height = content.get("imageWidth"), content.get("imageHeight")
        size = (round(number(width)), round(number(height))) if width and height else None
        name = content.get("imagePath") or file.with_suffix(".jpg").name
        image = self.source.find_image(name, file.parent) or self.source.find_image(f"{file.stem}.jpg", file.parent)
        pixels = None
        if image is None and content.get("imageData"):
            pixels, name = _decode(content["imageData"]), file.stem
        points: list[LoosePoint] = []
        others: dict[Any, Instance] = {}
        for place, shape in enumerate(content["shapes"]):
            label, group = str(shape.get("label")), shape.get("group_id")
            which = f"{where}, shape {place + 1} ({label})"
            with read_record(self.source, which, "shapes"):
                found = self._shape(shape, label, size, which)
                if isinstance(found, LoosePoint):
                    points.append(found._replace(group=group))
                elif found is not None:
                    key = (group, label, None if group is not None else place)
                    others[key] = _merge(others[key], found) if key in others else found
        instances = list(others.values())
        if points:
            instances = self.gatherer.gather(points, [(group, one) for (group, *_), one in others.items()])
        if len(self.classes) == 1:
            instances = [
                one._replace(label=next(iter(self.classes))) if one.label == UNNAMED else one for one in instances
            ]
        return Picture(name, instances, image, size, self.source.split_of(file.parent), pixels=pixels)

    def _shape(
        self, shape: dict[str, Any], label: str, size_wh: tuple[int, int] | None, where: str
    ) -> Instance | LoosePoint | None:
        kind = shape.get("shape_type") or "polygon"  # old versions had no other
        corners = [(number(x), number(y)) for x, y in shape["points"]]
        if label in IGNORED:
            self.source.note("shapes that are to be ignored", where)
            return None
        if kind == "point":
            flags = shape.get("flags") or {}
            hidden = shape.get("difficult") or any(flags.get(name) for name in HIDDEN)
            return LoosePoint(label, (*corners[0], 1 if hidden else 2), None, where)
        if label.casefold() in self.ordered and kind in ("polygon", "linestrip"):
            return self._ordered(label, corners, where)
        if kind in LEFT_OUT:
            self.source.note(f"{LEFT_OUT[kind]} that are no objects", where)
            return None
        return Instance(label, **self._geometry(kind, shape, corners, size_wh, label, where))

    def _ordered(self, label: str, corners: list[tuple[float, float]], where: str) -> Instance:
        remedy = "its corners are numbered keypoints; --format labelme-polygons reads an outline"
        self.source.note(f"polygons called {label}", where, remedy)
        if self.counts.setdefault(label, len(corners)) != len(corners):
            what = f"polygons of another number of keypoints than the first one of {label} has ({self.counts[label]})"
            self.source.warn(what, where, "points are told by their order: correct those that lack some")
        return Instance(label, points={str(place): (x, y, 2) for place, (x, y) in enumerate(corners, start=1)})

    def _geometry(
        self,
        kind: str,
        shape: dict[str, Any],
        corners: list[tuple[float, float]],
        size_wh: tuple[int, int] | None,
        label: str,
        where: str,
    ) -> dict[str, Any]:
        (x1, y1), (x2, y2) = np.min(corners, axis=0).tolist(), np.max(corners, axis=0).tolist()
        if kind == "rectangle" and len(corners) in (2, 4):
            return {"box_xyxy": (x1, y1, x2, y2)}
        if kind == "circle":
            (x, y), rim = corners
            radius = math.dist((x, y), rim)
            return {"polygons": [ellipse_outline(x, y, radius, radius)]}
        if kind == "mask":
            if size_wh is None:
                raise ValueError("a mask in a file that does not state the size of the image")
            data = np.frombuffer(_decode(shape["mask"]), np.uint8)
            mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
            expected = (round(y2 - y1) + 1, round(x2 - x1) + 1)  # both corners lie inside
            if mask is None or mask.shape != expected:
                raise ValueError(f"a mask that is no picture of {expected[1]}x{expected[0]}")
            return {"run_lengths": paste_mask(mask > 0, round(x1), round(y1), size_wh)}
        if kind not in ("polygon", "rotation", "quadrilateral"):
            raise ValueError(f"a {kind} of {len(corners)} points")
        ring = to_ring(corners)
        if kind == "polygon":
            self.polygons.setdefault(label, where)
        return {"polygons": [ring]}


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError(f"no base64 ({error})") from None


def _merge(one: Instance, other: Instance) -> Instance:
    """Two shapes of one object."""
    if one.run_lengths or other.run_lengths or (one.points and other.points):
        raise ValueError("a second mask or set of keypoints of one object; give it another group_id")
    return one._replace(
        box_xyxy=one.box_xyxy or other.box_xyxy,
        points=one.points or other.points,
        polygons=[*(one.polygons or ()), *(other.polygons or ())] or None,
    )


def _read_classes(source: Source) -> dict[str, list[str]]:
    """Names of keypoints by class, as X-AnyLabeling takes them from a yaml file."""
    for name in source.list_files(source.folder):
        if not name.lower().endswith((".yaml", ".yml")):
            continue
        try:
            content = yaml.safe_load(read_bytes(source.folder / name))
        except (yaml.YAMLError, UnicodeError, RecursionError) as error:
            raise DataError(
                f"{source.folder / name}: not valid YAML ({str(error).splitlines()[0]}); correct it"
            ) from None
        classes = content.get("classes") if isinstance(content, dict) else None
        if isinstance(classes, dict) and classes and all(isinstance(names, list) for names in classes.values()):
            return {str(label): list(map(str, names)) for label, names in classes.items()}
    return {}
