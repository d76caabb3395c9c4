"""Pascal VOC's annotation files, one XML file an image."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from hrtoolkit.data.voc import voc_object, voc_size
from hrtoolkit.data.xml import read_xml
from hrtoolkit.errors import DataError

# Roots of other programs' files.
FOREIGN = {
    "annotations": 'CVAT\'s own XML, which holds all images: export the task as "PASCAL VOC" or "COCO" instead',
    "dataset": "dlib's XML, which holds all images, and not VOC's",
}


class VocImage(NamedTuple):
    """One image and its objects."""

    named: str  # as the file itself calls its picture; "" where it does not
    width: int
    height: int
    classes: list[str]  # of each object; "" where it has none
    boxes_xywh: list[tuple[float, float, float, float]]  # edges, from 0; NaN where they are not four numbers
    difficult: list[bool]
    odd: list[bool]  # whether `difficult` is something else than 0 or 1


def read_voc(path: Path) -> VocImage:
    """Read one XML file of Pascal VOC.

    Raises:
        DataError: there is no such file, or it is not in VOC's format; the message does not say where.
    """
    root = _parse(path)
    if root.tag in FOREIGN:
        raise DataError(FOREIGN[root.tag])
    width, height = voc_size(root)
    if not (width == width // 1 and height == height // 1):  # NaN neither
        raise DataError("expected VOC's format: a size with width and height in whole pixels")
    if min(width, height) <= 0:
        raise DataError(f"a size of {width:g} x {height:g}; write that of the image")
    image = VocImage((root.findtext("filename") or "").strip(), int(width), int(height), [], [], [], [])
    for item in root.iter("object"):
        name, (x1, y1, x2, y2), difficult = voc_object(item)
        image.classes.append(name)
        image.boxes_xywh.append((x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1))
        image.difficult.append(difficult == "1")
        image.odd.append(difficult not in ("0", "1"))
    return image


def _parse(path: Path) -> ET.Element:
    if not path.exists():
        listed = Path(path.stem)
        whole = listed.suffix and path.with_name(f"{listed.stem}.xml").is_file()
        advice = f"; there is {listed.stem}.xml: list names without {listed.suffix}" if whole else ""
        raise DataError(f"no such file, but the split lists it{advice}")
    return read_xml(path)


class Pictures:
    """The image files of a folder, by name without extension; folders are listed once, when they are asked for.

    Args:
        folder: of the images.
    """

    ENDINGS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".ppm", ".pgm"))

    def __init__(self, folder: Path):
        self.folder = folder
        self.listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str, named: str) -> Path:
        """The picture NAME.*, with the ending that its annotation file names where there are several, or none."""
        parent = (self.folder / name).parent
        if parent not in self.listed:
            self.listed[parent] = {}
            for entry in _list(parent):
                if Path(entry).suffix.lower() in self.ENDINGS:
                    self.listed[parent].setdefault(Path(entry).stem, []).append(entry)
        ending = Path(last_part(named)).suffix
        last = Path(name).name
        found = self.listed[parent].get(last, [])
        stated = f"{last}{ending if ending.lower() in self.ENDINGS else '.jpg'}"
        return parent / (found[0] if found and stated not in found else stated)


def _list(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror})") from None


def last_part(path: str) -> str:
    """What stands after the last slash, of Windows or others."""
    return re.split(r"[\\/]", path)[-1]
