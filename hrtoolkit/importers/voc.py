"""Pascal VOC's XML, one file an image, as the data set itself and many tools write it.

The data set counts pixels from 1, and both edges of a box lie inside. Most tools write what they have, edges from 0,
under the same names: files that call VOC their source are taken for its own, unless a box of theirs begins at 0.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from hrtoolkit.data.paths import read_bytes
from hrtoolkit.data.reading import read_lines
from hrtoolkit.data.voc import voc_object, voc_size
from hrtoolkit.data.xml import read_xml
from hrtoolkit.errors import DataError
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.values import read_record, spelled

MARK = r"<annotation\b"
OWN = re.compile(rb"<(database|annotation)>[^<]*VOC[^<]*</")
AT_ZERO = re.compile(rb"<[xy]min>\s*0+(\.0*)?\s*<")
IMAGES = "JPEGImages"
LISTS = ("train", "val", "test")
KEPT = ("pose", "truncated", "occluded")


@register_format("voc", title="Pascal VOC's XML", suffixes=(".xml",), mark=MARK)
def read_voc(source: Source) -> Iterator[Picture]:
    """Read VOC's XML files, with coordinates from 1 or from 0 as the files let guess."""
    start, why = _guess_start(source.files)
    what = "whole pixels from 1" if start else "edges from 0"
    source.note(f"boxes taken for {what}", why, f"--format voc{1 - start} takes them for the other")
    yield from _read(source, start)


@register_format("voc0", title="Pascal VOC's XML with edges from 0", suffixes=(".xml",), mark=MARK)
def read_voc_from_0(source: Source) -> Iterator[Picture]:
    """Read VOC's XML files whose boxes are edges, counted from 0."""
    yield from _read(source, 0)


@register_format("voc1", title="Pascal VOC's XML with pixels from 1", suffixes=(".xml",), mark=MARK)
def read_voc_from_1(source: Source) -> Iterator[Picture]:
    """Read VOC's XML files whose boxes are the first and the last pixel inside, counted from 1."""
    yield from _read(source, 1)


def _guess_start(files: list[Path]) -> tuple[int, str]:
    """What coordinates count from, and why."""
    if not OWN.search(read_bytes(files[0])):
        return 0, f"{files[0].name} does not call VOC its source"
    for file in files:
        if AT_ZERO.search(read_bytes(file)):
            return 0, f"{file.name} has a box that begins at 0"
    return 1, f"{files[0].name} calls VOC its source"


def _read(source: Source, start: int) -> Iterator[Picture]:
    splits = _listed_splits(source)
    for file in source.files:
        try:
            root = read_xml(file)
        except DataError as error:
            source.fault("files that are not in VOC's format", f"{file.name}: {error}", "export them again")
            continue
        instances = []
        for number, item in enumerate(root.iter("object"), start=1):
            where = f"{file.name}, object {number}"
            with read_record(source, where, "objects"):
                instances.append(_instance(item, start))
            if item.find("part") is not None:
                source.note("boxes of parts", where)
        name = (root.findtext("filename") or "").strip() or file.stem
        width, height = voc_size(root)
        yield Picture(
            name=name,
            instances=instances,
            file=_find_image(name, file, source),
            size_wh=(int(width), int(height)) if width > 0 and height > 0 else None,
            split=splits.get(file.stem) or source.split_of(file),
        )


def _instance(item: ET.Element, start: int) -> Instance:
    name, sides, difficult = voc_object(item)
    if not name:
        raise ValueError("it has no name")
    if not all(map(math.isfinite, sides)):
        raise ValueError("it has no bndbox with xmin, ymin, xmax and ymax")
    x1, y1, x2, y2 = sides
    if x2 < x1 or y2 < y1:
        raise ValueError("its box ends before it begins")
    corners = item.find("polygon")  # as Roboflow writes outlines: x1, y1, x2, ...
    ring = (
        [spelled(corner.text) - start for corner in corners if re.fullmatch(r"[xy]\d+", corner.tag)] if corners else []
    )
    kept = {key: (item.findtext(key) or "").strip() for key in KEPT}
    return Instance(
        label=name,
        box_xyxy=(x1 - start, y1 - start, x2, y2),
        polygons=[ring] if len(ring) >= 6 else None,
        ignored=difficult == "1",
        attributes={key: text for key, text in kept.items() if text not in ("", "0", "Unspecified")} or None,
    )


def _find_image(name: str, file: Path, source: Source) -> Path | None:
    """Beside the file, in VOC's folder of images, or wherever it is, perhaps with the name of the file."""
    if (file.parent / name).is_file():
        return file.parent / name
    found = source.find_image(f"{IMAGES}/{name}", file.parent.parent)
    return found or source.find_image(file.stem, file.parent)


def _listed_splits(source: Source) -> dict[str, str]:
    """The split of each picture by its name, as ImageSets/Main lists them."""
    splits: dict[str, str] = {}
    for folder in {file.parent.parent for file in source.files}:
        for name in LISTS:
            path = folder / "ImageSets/Main" / f"{name}.txt"
            if path.is_file() and path.stat().st_size:
                splits.update((line.split()[0], name) for _, line in read_lines(path))
    return splits
