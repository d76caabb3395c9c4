"""From the bytes of a picture to RGB uint8 [H, W, 3], by OpenCV alone.

Convention: pictures are upright as their EXIF says and viewers show them. Values of 16 bits are scaled by what the file
can hold; floats are refused. Alpha is left out, and of an animation or several pages the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from .errors import DataError

MAX_PIXELS = 2**28  # telephones take 200 million; these are 805 MB once decoded
ORIENTATION = 0x0112  # EXIF's tag
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # how the blocks of a JPEG begin
START_OF_SCAN = 0xDA  # a marker of JPEG
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# The bytes that end a whole file.
END_MARKS = {JPEG: b"\xff\xd9", PNG: b"IEND"}
# What else is called like a picture: where it says so, how, and what people call it. Texts are compared in lower case.
FOREIGN = (
    (0, b"%pdf", "a PDF document"),
    (0, b"<!doctype html", "a web page (HTML)"),
    (0, b"<html", "a web page (HTML)"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "XML, perhaps an SVG drawing"),
    (0, b"version https://git-lfs", "a Git LFS pointer; run `git lfs pull`"),
    (0, b"pk\3\4", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x1ae\xdf\xa3", "a video"),  # Matroska; marks are in lower case
    (8, b"avi ", "a video"),
    (4, b"ftypavif", "AVIF, which this Pillow cannot read; convert it to JPEG"),
    (4, b"ftyphei", "HEIC; convert it to JPEG"),
    (4, b"ftypmif1", "HEIC; convert it to JPEG"),
    (4, b"ftyp", "a video"),
    (128, b"dicm", "a DICOM scan; convert it to PNG"),
    (0, b"ii*\0", "a TIFF of floats or of another kind that is not read; store 8 or 16 bits"),
    (0, b"mm\0*", "a TIFF of floats or of another kind that is not read; store 8 or 16 bits"),
)


PICTURE_MARKS = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"8BPS"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\1\0", b"v/1\1"),
    *(b"P%d" % digit + space for digit in range(1, 8) for space in (b"\n", b" ", b"\r", b"\t")),
)
PICTURE_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")  # behind `ftyp`


class Header(NamedTuple):
    """What the first bytes of a picture say of it."""

    width: int
    height: int
    plain: bool  # grey or color of 8 bits at most, which all decoders read alike


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decode the bytes of a picture.

    Args:
        data: of its file.
        name: what errors call it.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        DataError: it is no picture that OpenCV reads, is cut short, or has more than MAX_PIXELS; or it is a JPEG of
            four channels, of which every reader makes other colors.
    """
    header = read_header(data)
    if header is not None:
        check_pixels(header.width, header.height, name)
        if data.startswith(JPEG) and not header.plain:
            raise DataError(f"{name}: a JPEG of four channels (CMYK) or 12 bits; store it as RGB")
        if not _is_whole(data):
            raise DataError(f"{name}: the image is cut short ({len(data)} bytes); copy or download it again")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        reason = recognise(data) or "damaged, or of a kind that OpenCV does not know"
        raise DataError(f"{name}: not a readable image ({reason}); copy or download it again")
    if image.dtype == np.uint16:
        image = (image.astype(np.uint16) >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise DataError(f"{name}: its pixels are {image.dtype}, and nobody says which is white; store 8 or 16 bits")
    return turn_upright(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), read_orientation(data))


def _is_whole(data: bytes) -> bool:
    """Whether a JPEG or PNG has its last bytes: OpenCV fills what is missing with grey, and says nothing."""
    if data.startswith(PNG):
        return END_MARKS[PNG] in data[-1024:]
    scan = max((place for _, _, place in _jpeg_segments(data)), default=0)  # before it may lie a smaller picture
    return data.find(END_MARKS[JPEG], scan) >= 0


def read_orientation(data: bytes) -> int:
    """EXIF's orientation of a JPEG, PNG or WebP, 1 to 8; 1 where nobody says, or it is damaged.

    A TIFF is turned by OpenCV, whether it is asked to or not.
    """
    block, xmp = _find_exif(data)
    order: Literal["little", "big"] = "little" if block.startswith(b"II") else "big"

    def number(place: int, length: int) -> int:
        return int.from_bytes(block[place : place + length], order)

    found: int | None = None
    if block[:2] in (b"II", b"MM"):
        first = number(4, 4)
        entries = range(first + 2, first + 2 + 12 * number(first, 2), 12)
        found = next((number(place + 8, 2) for place in entries if number(place, 2) == ORIENTATION), None)
    if found is None and (match := re.search(rb'tiff:Orientation(?:="|>)([0-9])', xmp)):
        found = int(match[1])
    return found if found is not None and found in range(1, 9) else 1


def _find_exif(data: bytes) -> tuple[bytes, bytes]:
    """The blocks of a picture that hold EXIF and XMP; empty where there are none."""
    if data.startswith(JPEG):
        blocks = [content for marker, content, _ in _jpeg_segments(data) if marker == 0xE1]
    elif data.startswith(PNG):
        blocks = [EXIF + content for kind, content in _chunks(data, 8, "big") if kind == b"eXIf"]
    elif data.startswith(b"RIFF"):
        blocks = [EXIF + content.removeprefix(EXIF) for kind, content in _chunks(data, 12, "little") if kind == b"EXIF"]
    else:
        blocks = []
    exif = next((block.removeprefix(EXIF) for block in blocks if block.startswith(EXIF)), b"")
    return exif, next((block for block in blocks if block.startswith(XMP)), b"")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Marker, content and place of each segment of a JPEG, up to the first scan."""
    place, marker = 2, 0
    while place + 4 <= len(data) and data[place] == 0xFF and marker != START_OF_SCAN:
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield marker, data[place + 4 : end], place
        place = end


def _chunks(data: bytes, place: int, order: Literal["little", "big"]) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a PNG (big) or RIFF (little) file."""
    while place + 8 <= len(data):
        length, kind = data[place : place + 4], data[place + 4 : place + 8]
        if order == "little":
            length, kind = kind, length
        size = int.from_bytes(length, order)
        yield kind, data[place + 8 : place + 8 + size]
        place += 8 + size + (4 if order == "big" else size % 2)  # a checksum, or to even places


def read_header(data: bytes) -> Header | None:
    """Size and kind of a JPEG or PNG, in microseconds; None for what is neither, or is odd."""
    if data.startswith(PNG) and data[12:16] == b"IHDR" and len(data) > 33:
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        return Header(width, height, data[24] <= 8)
    place = 2 if data.startswith(JPEG) else len(data)
    while place + 10 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame starts
            height = int.from_bytes(data[place + 5 : place + 7], "big")  # 0: said after the first scan
            width = int.from_bytes(data[place + 7 : place + 9], "big")
            return Header(width, height, data[place + 4] == 8 and data[place + 9] in (1, 3)) if height else None
        place += 1 if marker == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def check_pixels(width: int, height: int, path: str | Path) -> None:
    """Refuse a picture or label map before it is decoded, where that would take too much memory.

    Raises:
        DataError: it has more than MAX_PIXELS.
    """
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path}: {width} x {height} pixels, and the limit is {MAX_PIXELS:,} (MAX_PIXELS in {__name__}); "
            "make it smaller, or cut it into several"
        )


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror pixels [H, W, 3] as an EXIF orientation says."""
    if orientation > 4:
        image = image.swapaxes(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
    return np.ascontiguousarray(np.flip(image, flips.get(orientation, ())))


def is_picture(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a picture of any known kind."""
    return (
        head.startswith(PICTURE_MARKS)
        or head[8:12] == b"WEBP"
        or (head[4:8] == b"ftyp" and head[8:12] in PICTURE_BRANDS)
    )


def recognise(data: bytes) -> str:
    """What a file is that is called like a picture and is none; "" where nobody knows."""
    start = data[:512].lower()
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    for place, mark, name in FOREIGN:
        if start.startswith(mark, place) or (place == 0 and text.startswith(mark)):
            return name
    return "" if data else "empty, 0 bytes"
