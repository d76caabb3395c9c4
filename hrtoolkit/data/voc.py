"""Pascal VOC's annotation files, one XML file an image."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NamedTuple

SIDES = ("xmin", "ymin", "xmax", "ymax")
NAN = float("nan")


class VocObject(NamedTuple):
    """An object as its file has it."""

    name: str  # of its class; "" where it has none
    sides: tuple[float, float, float, float]  # xmin, ymin, xmax, ymax; NaN where they are no numbers
    difficult: str  # "0" or "1", or whatever stands there


def voc_size(root: ET.Element) -> tuple[float, float]:
    """Width and height that a file states; NaN where it does not."""
    size = root.find("size")
    return _read_number(size, "width"), _read_number(size, "height")


def voc_object(item: ET.Element) -> VocObject:
    """Read one `<object>`; the boxes of its parts are not its own."""
    x1, y1, x2, y2 = (_read_number(item.find("bndbox"), side) for side in SIDES)
    name, difficult = (item.findtext("name") or "").strip(), (item.findtext("difficult") or "0").strip()
    return VocObject(name, (x1, y1, x2, y2), difficult)


def _read_number(parent: ET.Element | None, name: str) -> float:
    try:
        return NAN if parent is None else float(parent.findtext(name) or NAN)
    except ValueError:
        return NAN
