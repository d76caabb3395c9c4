"""The XML of dlib's imglab: boxes in whole pixels, both edges inside, and named parts of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from hrtoolkit.data.xml import stream_xml
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.values import read_record, spelled

UNNAMED = "object"  # the class of boxes without a label


@register_format("dlib", title="dlib's XML", suffixes=(".xml",), mark=r"<dataset\b")
def read_dlib(source: Source) -> Iterator[Picture]:
    """Read XML files of imglab."""
    parts: dict[str, dict[str, None]] = {}  # of each class
    in_order = True
    for file in source.files:
        for number, image in enumerate(stream_xml(file, ("image",)), start=1):
            name = image.get("file") or ""
            where = f"{file.name}, image {number}{f' ({name})' if name else ''}"
            instances = []
            for box in image.findall("box"):
                with read_record(source, where, "boxes"):
                    instances.append(instance := _instance(box))
                    names = list(instance.points or ())
                    parts.setdefault(instance.label, {}).update(dict.fromkeys(names))
                    in_order &= names == sorted(names)
            if not name:
                source.fault("images without a name", where, "correct them")
                continue
            width, height = image.get("width") or "", image.get("height") or ""
            yield Picture(
                name=name,
                instances=instances,
                file=source.find_image(name, file.parent),
                size_wh=(int(width), int(height)) if width.isdigit() and height.isdigit() else None,
                split=source.split_of(file),
            )
    for label, own in parts.items():
        # dlib sorts parts by name: one that the first boxes lack belongs in between. Numbers are sorted anyway.
        if in_order and not all(name.isdigit() for name in own):
            source.declare(label, sorted(own))


def _instance(box: ET.Element) -> Instance:
    left, top, width, height = (spelled(box.get(side)) for side in ("left", "top", "width", "height"))
    points: dict[str, tuple[float, float, int]] = {}
    for part in box.findall("part"):
        name = part.get("name") or ""
        if name in points:
            raise ValueError(f"part {name!r} comes twice")
        points[name] = (spelled(part.get("x")), spelled(part.get("y")), 2)
    known = ("pose", "detection_score", "angle", "truncated", "occluded", "difficult", "gender", "age")
    return Instance(
        label=(box.findtext("label") or "").strip() or UNNAMED,
        box_xyxy=(left, top, left + width, top + height),
        points=points or None,
        ignored=box.get("ignore", "0") not in ("0", "false"),
        attributes={name: box.get(name) for name in known if box.get(name) is not None} or None,
    )
