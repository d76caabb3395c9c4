"""Pascal VOC's annotation files, one XML file an image."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from hrtoolkit.errors import DataError


class VocImage(NamedTuple):
    """One image and its objects."""

    file_name: str
    width: int
    height: int
    classes: list[str]  # of each object
    boxes_xywh: list[tuple[float, float, float, float]]  # edges, from 0
    difficult: list[bool]


def read_voc(path: Path, name: str) -> VocImage:
    """Read one XML file of Pascal VOC.

    Args:
        path: of the file.
        name: of the image, as the split lists it.

    Raises:
        DataError: there is no such file, or it is not in VOC's format.
    """
    try:
        root = ET.parse(path).getroot()
        size = root.find("size")
        width, height = int(size.findtext("width")), int(size.findtext("height"))
        if min(width, height) <= 0:
            raise DataError(f"{path}: a size of {width} x {height}; write that of the image")
        image = VocImage(root.findtext("filename") or f"{name}.jpg", width, height, [], [], [])
        for item in root.iter("object"):
            corners = (item.find("bndbox").findtext(side) for side in ("xmin", "ymin", "xmax", "ymax"))
            x1, y1, x2, y2 = (float(corner) for corner in corners)
            image.classes.append(item.findtext("name").strip())
            image.boxes_xywh.append((x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1))
            image.difficult.append(bool(int(item.findtext("difficult") or 0)))
        if not all(image.classes):
            raise ValueError("an object without a name")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; the split lists {name!r}") from None
    except ET.ParseError as error:
        raise DataError(f"{path}: not valid XML ({error}); copy or download it again") from None
    except (AttributeError, TypeError, ValueError):
        raise DataError(
            f"{path}: expected VOC's format: size with width and height, and objects with name and bndbox of xmin, "
            "ymin, xmax, ymax"
        ) from None
    return image
