"""The one reader of pictures, for every task and for the data check.

Convention: an image is RGB uint8 [H, W, 3], its pixels as they are stored. An EXIF orientation turns them where
somebody asks, or where only then the image has the size of its annotations. Values of 9 to 16 bits are scaled by what
the file can hold; floats are refused. Alpha is left out, and of an animation or several pages the first counts.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from hrtoolkit.data.paths import open_file, read_bytes
from hrtoolkit.errors import DataError
from hrtoolkit.runtime.images import END_MARKS, JPEG, PNG, check_pixels, read_header, recognise, turn_upright

ORIENTATION = 0x0112  # EXIF's tag
BITS_PER_SAMPLE = 258  # TIFF's tag
# Pillow's own classes: `Image.open` has a lower limit.
PLUGINS = {JPEG: JpegImagePlugin.JpegImageFile, PNG: PngImagePlugin.PngImageFile}
# What Pillow raises for a broken file depends on where it breaks.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError)


def read_image(path: str | Path, upright: bool = False) -> np.ndarray:
    """Read an image as RGB uint8 [H, W, 3].

    Args:
        path: of the file.
        upright: turn the pixels as EXIF says and viewers do.

    Raises:
        DataError: the file is missing, is no image, is cut short, or has more than MAX_PIXELS.
    """
    return decode_image(read_image_file(path), path, upright)


def read_annotated_image(path: str | Path, size_wh: Sequence[float]) -> np.ndarray:
    """Read an image in the orientation that was annotated: as it is stored, or upright where only that has the size.

    Args:
        path: of the file.
        size_wh: width and height as annotated; 0 where nobody says.

    Raises:
        DataError: as for `read_image`; an image of another size is none.
    """
    data = read_image_file(path)
    image = decode_image(data, path)
    if has_sides_exchanged(image.shape[:2], size_wh):
        orientation = read_extras(data)[0]
        return turn_upright(image, orientation) if orientation > 4 else image
    return image


def has_sides_exchanged(image_hw: tuple[int, int], size_wh: Sequence[float]) -> bool:
    """Whether the annotated width is the height of an image, its height the width, and the image is not square."""
    return image_hw == tuple(size_wh) != image_hw[::-1]


def read_image_file(path: str | Path) -> bytes:
    """Read the bytes of an image file.

    Raises:
        DataError: it is missing, may not be read, or is no file.
    """
    return read_bytes(path, "image", "; the annotations name it, so copy it there or correct the folder")


def decode_image(data: bytes, path: str | Path, upright: bool = False) -> np.ndarray:
    """Decode the bytes of an image file, as RGB uint8 [H, W, 3].

    Args:
        data: of the file.
        path: what errors call it.
        upright: see `read_image`.

    Raises:
        DataError: it is no image, is cut short, or has more than MAX_PIXELS.
    """
    header = read_header(data)
    try:
        if header is not None and header.plain:
            check_pixels(header.width, header.height, path)
            image = _decode_plain(data, path)
            return turn_upright(image, read_extras(data)[0]) if upright else image
        with open_picture(data, path) as picture:
            return to_rgb(picture, path, upright)
    except (*DAMAGE, cv2.error) as error:
        reason = recognise(data) or (error if not isinstance(error, UnidentifiedImageError) else "of no known kind")
        raise DataError(f"{path}: not a readable image ({reason}); copy or download it again") from None
    except MemoryError:
        raise DataError(f"{path}: not enough memory for this image ({len(data)} bytes before it is decoded)") from None


def read_size(path: str | Path, annotated_wh: Sequence[float] = (0, 0)) -> tuple[int, int] | None:
    """Width and height of an image, from the first bytes of its file; None where they cannot be read.

    Args:
        path: of the file.
        annotated_wh: see `read_annotated_image`, of which this is the size then.
    """
    try:
        with open_file(path) as file:
            header = read_header(file.peek(8))
            if header is not None and not has_sides_exchanged((header.height, header.width), annotated_wh):
                return header.width, header.height
            with _pillow_for(file.peek(8))(file) as picture:
                turned = has_sides_exchanged(picture.size[::-1], annotated_wh) and _orientation(picture) > 4
                return picture.size[::-1] if turned else picture.size
    except (*DAMAGE, DataError, Image.DecompressionBombError):
        return None


def open_picture(data: bytes, path: str | Path) -> Image.Image:
    """Let Pillow look at the first bytes of a picture or label map, without decoding it.

    Raises:
        DataError: it has more than MAX_PIXELS, or in other formats than JPEG and PNG more than Pillow allows.
        Exception: one of DAMAGE; it is no picture.
    """
    try:
        picture = _pillow_for(data)(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too many pixels ({error}); make it smaller, or cut it into several") from None
    check_pixels(*picture.size, path)
    return picture


def _pillow_for(start: bytes) -> Callable[[BinaryIO], Image.Image]:
    return next((plugin for mark, plugin in PLUGINS.items() if start.startswith(mark)), Image.open)


def to_rgb(picture: Image.Image, path: str | Path, upright: bool = False) -> np.ndarray:
    """Make RGB uint8 [H, W, 3] of the present frame of an image of Pillow, of any mode.

    Args:
        picture: opened.
        path: what errors call it.
        upright: see `read_image`.

    Raises:
        DataError: its values are floats or of 32 bits.
        Exception: one of DAMAGE; its file is broken.
    """
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        bits = picture.tag_v2[BITS_PER_SAMPLE][0] if isinstance(picture, TiffImageFile) else 16
        image = np.repeat((np.asarray(picture) >> bits - 8).astype(np.uint8)[..., None], 3, axis=2)
    elif picture.mode in ("I", "F"):
        kind = "whole numbers of 32 bits" if picture.mode == "I" else "floats"
        raise DataError(f"{path}: its pixels are {kind}, and nobody says which is white; store 8 or 16 bits")
    else:
        image = np.array(picture.convert("RGB"))
    return turn_upright(image, _orientation(picture)) if upright else image


def read_extras(data: bytes) -> tuple[int, int]:
    """EXIF orientation (1 to 8) and number of frames or pages of a picture, which its pixels do not show."""
    try:
        with open_picture(data, "") as picture:
            return _orientation(picture), getattr(picture, "n_frames", 1)
    except (*DAMAGE, DataError):  # whoever decodes it says so
        return 1, 1


def _orientation(picture: Image.Image) -> int:
    try:
        orientation = picture.getexif().get(ORIENTATION, 1)
    except DAMAGE:  # a damaged EXIF block turns nothing
        return 1
    return orientation if orientation in range(1, 9) else 1


def _decode_plain(data: bytes, path: str | Path) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    mark = END_MARKS[JPEG if data.startswith(JPEG) else PNG]
    if image is None or mark not in data[-1024:]:
        # OpenCV fills what is missing with grey and goes on, or says nothing at all; Pillow says what is wrong.
        try:
            with open_picture(data, path) as picture:
                picture.load()
        except DAMAGE as error:
            what = f"the image is cut short ({len(data)} bytes)" if mark not in data[-1024:] else "a damaged image"
            raise DataError(f"{path}: {what}, {error}; copy or download it again") from None
        if image is None:
            raise ValueError("OpenCV cannot decode it")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
