"""Reading images and json files, with errors that name the file and the remedy."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from hrtoolkit.errors import DataError

# The bytes that end a whole file; where they are missing from its tail, the slower decoder is asked.
END_MARKS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as RGB uint8 [H, W, 3], without turning it by its EXIF orientation (annotations do not expect it).

    Raises:
        DataError: the file is missing, is no image, or is cut short.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such image; the annotations name it, so copy it there or correct the folder"
        ) from None
    image = None
    if data:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DataError(f"{path}: not a readable image, or cut short ({len(data)} bytes); copy or download it again")
    mark = END_MARKS.get(data[:2])
    if mark is not None and mark not in data[-1024:] and _is_truncated(data):
        raise DataError(f"{path}: the image is cut short ({len(data)} bytes); copy or download it again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_json(path: str | Path):
    """Read a json file.

    Raises:
        DataError: the file is missing, empty or malformed; the message tells line and column.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error})") from None
    if not text.strip():
        raise DataError(f"{path}: the file is empty; copy or download it again")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not valid json, line {error.lineno}, column {error.colno}: {error.msg}; copy or download it again"
        ) from None


def _is_truncated(data: bytes) -> bool:
    """OpenCV fills what is missing with grey and goes on; Pillow says so."""
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return True
    return False


def find_image_folder(root: Path, image_dir: str) -> Path:
    """Below the root as data sets unpack, or below its `images`, where the official HRNet code expects them."""
    older = root / "images" / image_dir
    return older if older.is_dir() and not (root / image_dir).is_dir() else root / image_dir
