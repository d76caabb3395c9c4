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
# Formats that `hrtoolkit import` does not read, by what a text in json has, in the order in which it is asked for.
JSON = {
    r'"coordinates"\s*:\s*\{': f"CreateML's format; {AGAIN} where it was labelled",
    r'"media_type"\s*:|"dm_format_version"': f"Datumaro's format; {AGAIN}",
    r'"(keypoint|human)_annotations"\s*:': "AI Challenger's own format, in which 1 is seen, 2 hidden and 3 not "
    "labelled; take OpenMMLab's aic_train.json and aic_val.json",
    r'^\s*\[.*"score"\s*:': "COCO's results format, what a detector found; the annotations are another file",
    r'^\s*\[.*"image_id"\s*:': "a list of annotations alone; COCO's format is an object with images and categories too",
}
BYTES = {
    b"PK": "a zip archive; unpack it",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"PAR1": "a Parquet table",
    b"\x89HDF": "HDF5, as DeepLabCut and SLEAP write it; `hrtoolkit import` turns theirs into COCO's",
}
COCO = "coco"  # the format that is expected


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
    if text.startswith(("{", "[")) and (found := _first(JSON, text)):
        return found
    from hrtoolkit.importers import FORMATS  # all readers, which only an error needs

    known = next((one for one in FORMATS.values() if one.mark.search(head)), None)
    return "" if known is None or known.name == COCO else f"{known.title}; `hrtoolkit import` turns it into COCO's"


def _first(marks: dict[str, str], text: str) -> str:
    return next((what for pattern, what in marks.items() if re.search(pattern, text, re.DOTALL)), "")


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
