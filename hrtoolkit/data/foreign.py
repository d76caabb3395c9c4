"""Annotation files of other programs, told by how they begin, and the way from there to COCO's format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hrtoolkit.data.paths import open_file
from hrtoolkit.data.reading import stream_json
from hrtoolkit.errors import DataError

HEAD = 2**16  # bytes that are looked at
AGAIN = "export it from there as COCO"
YOLO = re.compile(r"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*(\n|$)")
# What a text in json has, all of it, in the order in which it is asked for.
JSON = {
    r'"shapes"\s*:.*"imagePath"': "labelme's format, one file an image; its labelme2coco.py joins them into COCO's",
    r'"_via_|"regions"\s*:.*"file_attributes"|"file_attributes"\s*:.*"regions"|"shape_attributes"': (
        'VIA\'s format; its menu has "Export Annotations (COCO format)"'
    ),
    r'"from_name"|"original_width"|"annotation_id"\s*:|"lead_time"': f"Label Studio's own json; {AGAIN}",
    r'"coordinates"\s*:\s*\{': f"CreateML's format; {AGAIN} where it was labelled",
    r'"classTitle"': f"Supervisely's format; {AGAIN}",
    r'"darwin|"slots"\s*:.*"slot_names"|"bounding_box"\s*:\s*\{': f"V7 Darwin's format; {AGAIN}",
    r'"media_type"\s*:|"dm_format_version"': f"Datumaro's format; {AGAIN}",
    r'^\s*\[.*"score"\s*:': "COCO's results format, what a detector found; the annotations are another file",
    r'^\s*\[.*"image_id"\s*:': "a list of annotations alone; COCO's format is an object with images and categories too",
}
XML = {
    r"<annotations\b": 'CVAT\'s XML; export the task as "COCO 1.0"',
    r"<annotation\b": "Pascal VOC's XML, one file an image; the dataset VocDetection reads it",
    r"<dataset\b": "dlib's XML; bring it into COCO's format",
}
BYTES = {
    b"PK": "a zip archive; unpack it",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"PAR1": "a Parquet table",
    b"\x89HDF": "HDF5, as DeepLabCut and SLEAP write it; bring it into COCO's format",
}


def recognise_format(path: str | Path) -> str:
    """What an annotation file is that is not in COCO's format, and what to do; "" where nobody knows."""
    try:
        with open_file(path) as file:
            head = file.read(HEAD)
    except DataError:
        return ""
    for mark, what in BYTES.items():
        if head.startswith(mark):
            return what
    if b"image/encoded" in head or ".tfrecord" in Path(path).name:
        return f"a TFRecord; {AGAIN} where it was labelled"
    text = head.decode(errors="replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return next((what for pattern, what in XML.items() if re.search(pattern, text)), "")
    if text.startswith(("{", "[")):
        return next((what for pattern, what in JSON.items() if re.search(pattern, text, re.DOTALL)), "")
    if YOLO.match(text):
        return f"YOLO's format, one text file an image; {AGAIN} where it was labelled"
    if re.search(r"^(names|nc|train|val)\s*:", text, re.MULTILINE):
        return f"the data.yaml of YOLO's format; {AGAIN} where it was labelled"
    if text.startswith("scorer,"):
        return "DeepLabCut's table (csv); bring it into COCO's format"
    if text.split("\n", 1)[0].count(",") >= 4:
        return "a table (csv); bring it into COCO's format"
    return ""


def stream_coco(path: str | Path, expected: str = "COCO's format") -> Iterator[tuple[str, Any]]:
    """`stream_json` of a file that should be COCO's.

    Args:
        path: of the file.
        expected: how a description begins that is no other format.

    Raises:
        DataError: it cannot be read, or is in a known other format, which the message names.
    """
    try:
        yield from stream_json(path)
    except DataError as error:
        raise refusal(path, expected) or error from None


def refusal(path: str | Path, expected: str = "COCO's format") -> DataError | None:
    """The error for a file in a known other format than expected; None where nobody knows what it is."""
    what = recognise_format(path)
    return DataError(f"{path}: this is {what}") if what and not what.startswith(expected) else None
