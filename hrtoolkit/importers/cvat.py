"""CVAT's XML 1.1, for images and for video (https://docs.cvat.ai/docs/manual/advanced/xml_format).

A skeleton has its keypoints by name, in the order of its sublabels; a shape of n points has them by number. What is
`outside` is not there, and ends a track; what a track interpolates between two frames is as good as what was drawn.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from hrtoolkit.data.xml import stream_xml
from hrtoolkit.errors import DataError
from hrtoolkit.importers.annotated import Instance, Picture, Point
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.joining import join_points_to_boxes
from hrtoolkit.importers.loose_points import LoosePoint, PointGatherer
from hrtoolkit.importers.shapes import ellipse_outline, paste_mask, to_ring, turned_box
from hrtoolkit.importers.source import SPLITS, Source
from hrtoolkit.importers.values import read_record, spelled

LEFT_OUT = {"tag": "tags", "polyline": "lines", "cuboid": "cuboids"}
SHAPES = ("box", "polygon", "points", "ellipse", "mask", "skeleton")
NODE = re.compile(r"<circle[^>]*>")
EDGE = re.compile(r'data-node-from="(\d+)"|data-node-to="(\d+)"')
FRAME = "frame_{:06d}.PNG"  # as CVAT names the pictures of a video


class Shape(NamedTuple):
    """A shape that may be an object."""

    instance: Instance
    group: int | None
    loose: str = ""  # name of the keypoint that a single point may be


class Task(NamedTuple):
    """What an XML file says of the pictures of one task."""

    size_wh: tuple[int, int] | None
    subset: str
    name: str
    frames: range  # of its video


@register_format("cvat", title="CVAT's XML", suffixes=(".xml",), mark=r"<annotations\b")
def read_cvat(source: Source) -> Iterator[Picture]:
    """Read CVAT's XML: skeletons, points, boxes, polygons, masks, ellipses, and tracks of these."""
    for file in source.files:
        with tempfile.TemporaryFile("w+b") as spilled:
            yield from _Reader(file, source, spilled).read()


class _Reader:
    """Reads one file.

    Args:
        file: with annotations.
        source: of the export.
        spilled: empty file that holds tracks until the pictures they go through are known.
    """

    def __init__(self, file: Path, source: Source, spilled: IO[bytes]):
        self.file, self.source, self.spilled = file, source, spilled
        self.labels: set[str] = set()
        self.single: set[str] = set()  # labels of which each is one keypoint
        self.counts: dict[str, int] = {}  # of the points of a label's shapes
        self.tasks: dict[str, Task] = {}  # by id; "" is the only one
        self.points = PointGatherer(source)

    def read(self) -> Iterator[Picture]:
        """The pictures of the file."""
        tracked: dict[tuple[str, int], list[int]] = defaultdict(list)  # places in the spilled file by task and frame
        for element in stream_xml(self.file, ("meta", "image", "track")):
            if element.tag == "meta":
                self._read_meta(element)
            elif element.tag == "track":
                self._spill(element, tracked)
            else:
                with read_record(self.source, f"{self.file.name}, image {element.get('id')}", "images"):
                    yield self._image(element)
        if tracked:
            yield from self._frames(tracked)
        self.points.finish()

    def _read_meta(self, meta: ET.Element) -> None:
        children: dict[str, list[str]] = defaultdict(list)
        labels = [label for label in meta.iter("label") if label.findtext("name")]
        for label in labels:
            name, parent = _name(label), label.findtext("parent")
            if parent and name not in children[parent]:
                children[parent].append(name)
        own = [label for label in labels if not label.findtext("parent") and label.findtext("type") != "tag"]
        points = {_name(label) for label in own if label.findtext("type") == "points"}
        self.single = points if len(points) > 1 or self.source.join else set()
        self.points.names |= self.single
        for label in own:
            name = _name(label)
            self.labels.add(name)
            if name in self.single:
                continue
            known = self.source.schemes.get(name)
            if known is not None and list(known.names) != children[name]:
                what = f"other keypoints of {name!r} than in the files before"
                raise DataError(f"{self.file}: {what}; import the files one by one")
            self.source.declare(name, children[name], _skeleton(label.findtext("svg") or "", children[name]))
        for task in [*meta.iter("task"), *meta.iter("job")]:
            size = task.find("original_size")
            size = meta.find("original_size") if size is None else size
            sides = None if size is None else (size.findtext("width"), size.findtext("height"))
            start, stop = task.findtext("start_frame") or "0", task.findtext("stop_frame") or "-1"
            step = re.search(r"step\s*=\s*(\d+)", task.findtext("frame_filter") or "")
            subset, name = task.findtext("subset") or "", task.findtext("name") or ""
            with read_record(self.source, f"{self.file.name}, task {task.findtext('id')}", "tasks"):
                frames = range(int(start), int(stop) + 1, int(step[1]) if step else 1)
                wh = (round(spelled(sides[0])), round(spelled(sides[1]))) if sides and all(sides) else None
                self.tasks[task.findtext("id") or ""] = Task(wh, subset, name, frames)

    def _task(self, id: str | None) -> Task:
        return self.tasks.get(id or "") or next(iter(self.tasks.values()), Task(None, "", "", range(0)))

    def _split(self, subset: str) -> str:
        """The split that a subset is; "default" is none."""
        found = SPLITS.get(subset.lower()) or self.source.split_of(self.file)
        if subset and not found and subset.lower() != "default":
            self.source.note("subsets that are no train, val or test", subset, "their pictures are in no split")
        return found

    def _image(self, image: ET.Element) -> Picture:
        name = image.attrib["name"]
        size = (int(image.attrib["width"]), int(image.attrib["height"]))
        found = []
        for number, element in enumerate(image, start=1):
            where = f"{self.file.name}, image {name}, {element.tag} {number}"
            with read_record(self.source, where, "shapes"):
                shape = self._shape(element, element.get("label") or "", size, where)
                found += [] if shape is None else [(shape, where)]
        return Picture(
            name=name,
            instances=self._gather(found),
            file=self.source.find_image(name, self.file.parent),
            size_wh=size,
            split=self._split(image.get("subset") or self._task(image.get("task_id")).subset),
        )

    def _gather(self, found: list[tuple[Shape, str]]) -> list[Instance]:
        singles = [shape.loose for shape, _ in found if shape.loose]
        names = set(singles)
        mixed = any(not shape.loose or shape.group for shape, _ in found)
        if len(names) > 1 and (mixed or len(names) == len(singles)):  # no objects of one point each, but keypoints
            self.single |= names
            self.points.names |= names
            self.source.emptied |= names
        loose = [
            LoosePoint(shape.loose, next(iter(shape.instance.points.values())), shape.group, where)
            for shape, where in found
            if shape.loose in self.single and shape.instance.points
        ]
        others = [(shape.group, shape.instance) for shape, _ in found if shape.loose not in self.single]
        instances = self.points.gather(loose, others) if loose else [instance for _, instance in others]
        return join_points_to_boxes(instances, self.source) if self.source.join else instances

    def _spill(self, track: ET.Element, tracked: dict[tuple[str, int], list[int]]) -> None:
        label, task = track.get("label") or "", track.get("task_id") or ""
        for number, element in enumerate(track, start=1):
            where = f"{self.file.name}, track {track.get('id')}, {element.tag} {number}"
            with read_record(self.source, where, "shapes"):
                if element.get("outside") == "1":
                    continue
                frame = int(element.attrib["frame"])
                shape = self._shape(element, label, self._task(task).size_wh, where)
                if shape is None or (element.tag == "skeleton" and not shape.instance.points):
                    continue
                kept = {**(shape.instance.attributes or {}), "track": int(track.attrib["id"])}
                shape = shape._replace(instance=shape.instance._replace(attributes=kept))
                tracked[task, frame].append(self.spilled.seek(0, 2))
                self.spilled.write(json.dumps([shape, where]).encode() + b"\n")

    def _frames(self, tracked: dict[tuple[str, int], list[int]]) -> Iterator[Picture]:
        """The frames of videos: those with objects, and those without of which there is a picture."""
        tasks = sorted({task for task, _ in tracked})
        for task_id in tasks:
            task = self._task(task_id)
            with_objects = {frame for task, frame in tracked if task == task_id}
            for frame in sorted(with_objects.union(task.frames)):
                name = f"{task.name}/{FRAME.format(frame)}" if len(tasks) > 1 else FRAME.format(frame)
                file = self.source.find_image(name, self.file.parent) or self._numbered(frame)
                if file is None and frame not in with_objects:
                    continue
                found = []
                for place in tracked.get((task_id, frame), ()):
                    self.spilled.seek(place)
                    (instance, group, loose), where = json.loads(self.spilled.readline())
                    found.append((Shape(Instance(*instance), group, loose), where))
                yield Picture(name, self._gather(found), file, task.size_wh, self._split(task.subset))

    def _numbered(self, frame: int) -> Path | None:
        """The picture whose name ends in the number of a frame, where no other's does."""
        if not hasattr(self, "by_number"):
            self.by_number: dict[int, list[Path]] = defaultdict(list)
            for file in self.source.image_files():
                if end := re.search(r"(\d+)$", file.stem):
                    self.by_number[int(end[1])].append(file)
        found = self.by_number.get(frame, [])
        if len(found) != 1:
            return None
        remedy = "they are found by the number at the end of their names"
        self.source.note("frames of a video that are not called as CVAT calls them", found[0].name, remedy)
        return found[0]

    def _shape(self, element: ET.Element, label: str, size_wh: tuple[int, int] | None, where: str) -> Shape | None:
        """What a shape is; None for what is no object."""
        kind = element.tag
        if kind not in SHAPES:
            self.source.note(f"{LEFT_OUT.get(kind, kind)} that are no objects", where)
            return None
        if not label:
            self.source.note("shapes without a label", where)
            return None
        if self.labels and label not in self.labels:
            self.source.fault("labels that the file does not declare", f"{where}: {label}", "correct them")
            return None
        if kind != "skeleton" and label in self.source.schemes:
            remedy = "draw its skeleton there"
            self.source.fault("other shapes of a label that is a skeleton", f"{where}: {label}", remedy)
            return None
        instance = Instance(label, attributes=_attributes(element), **self._geometry(element, label, size_wh, where))
        group = int(element.get("group_id") or 0) or None
        single = kind == "points" and instance.points is not None and len(instance.points) == 1
        return Shape(instance, group, label if single else "")

    def _geometry(self, shape: ET.Element, label: str, size_wh: tuple[int, int] | None, where: str) -> dict[str, Any]:
        kind = shape.tag
        if kind == "skeleton":
            return {"points": self._skeleton_points(shape, label)}
        degrees = spelled(shape.get("rotation") or "0")
        if kind == "box":
            x1, y1, x2, y2 = (spelled(shape.get(side)) for side in ("xtl", "ytl", "xbr", "ybr"))
            if not degrees:
                return {"box_xyxy": (x1, y1, x2, y2)}
            return {"polygons": [turned_box((x1, y1, x2, y2), degrees)]}
        if kind == "ellipse":
            x, y, width, height = (spelled(shape.get(name)) for name in ("cx", "cy", "rx", "ry"))
            return {"polygons": [ellipse_outline(x, y, width, height, math.radians(degrees))]}
        if kind == "mask":
            if size_wh is None:
                raise ValueError("a mask in a file that does not state the size of the image")
            return {"run_lengths": _read_mask(shape, size_wh)}
        corners = [[spelled(number) for number in pair.split(",")] for pair in shape.attrib["points"].split(";")]
        if any(len(pair) != 2 for pair in corners):
            raise ValueError("`points` that are no pairs x,y")
        if kind == "polygon":
            return {"polygons": [to_ring(corners)]}
        if self.counts.setdefault(label, len(corners)) != len(corners) and label not in self.single:
            what = f"shapes of another number of points than the first one of {label} has ({self.counts[label]})"
            self.source.warn(
                what, f"{where}: {len(corners)}", "points are told by their order: correct those that lack some"
            )
        visible = 1 if shape.get("occluded") == "1" else 2
        return {"points": {str(place): (x, y, visible) for place, (x, y) in enumerate(corners, start=1)}}

    def _skeleton_points(self, skeleton: ET.Element, label: str) -> dict[str, Point]:
        names = self.source.schemes[label].names if label in self.source.schemes else None
        found = {}
        for part in skeleton.findall("points"):
            name = part.attrib["label"]
            if name in found:
                raise ValueError(f"keypoint {name!r} twice")
            if names is not None and name not in names:
                raise ValueError(f"keypoint {name!r}, which {label!r} does not have")
            if part.get("outside") != "1":
                x, y = part.attrib["points"].split(",")
                found[name] = (spelled(x), spelled(y), 1 if part.get("occluded") == "1" else 2)
        return found


def _name(label: ET.Element) -> str:
    return label.findtext("name") or ""


def _attributes(element: ET.Element) -> dict[str, str] | None:
    own = {str(one.get("name")): one.text or "" for one in element.findall("attribute")}
    return own or None


def _read_mask(shape: ET.Element, size_wh: tuple[int, int]) -> dict:
    """A mask's run lengths go row by row through its box, and begin with what is outside."""
    left, top, width, height = (int(shape.attrib[name]) for name in ("left", "top", "width", "height"))
    counts = np.array([int(count) for count in shape.attrib["rle"].split(",")])
    if counts.sum() != width * height or (counts < 0).any():
        raise ValueError(f"run lengths of {counts.sum()} pixels in a mask of {width}x{height}")
    mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
    return paste_mask(mask, left, top, size_wh)


def _skeleton(svg: str, names: list[str]) -> list[tuple[str, str]]:
    """The lines of a skeleton's drawing, between the names of its nodes."""
    nodes = {}
    for circle in NODE.findall(svg):
        id, name = re.search(r'data-node-id="(\d+)"', circle), re.search(r'data-label-name="([^"]*)"', circle)
        if id and name and name[1] in names:
            nodes[id[1]] = name[1]
    found: list[tuple[str, str]] = []
    for line in re.findall(r"<line[^>]*>", svg):
        ends = [nodes[start or end] for start, end in EDGE.findall(line) if (start or end) in nodes]
        if len(ends) == 2 and ends[0] != ends[1] and (ends[0], ends[1]) not in found:
            found.append((ends[0], ends[1]))
    return found
