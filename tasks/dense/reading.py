"""Reading maps of numbers: NumPy's .npy, and PNGs of 8 or 16 bit whose steps have a size."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from numpy import ndarray

from hrtoolkit.data.images import DAMAGE, open_picture, read_size
from hrtoolkit.data.paths import open_file, read_bytes
from hrtoolkit.errors import DataError
from hrtoolkit.runtime.images import PNG

NPY = b"\x93NUMPY"  # first bytes of the format
ADVICE = "; copy it there or correct the dataset's folders"


def read_value_file(path: str | Path) -> tuple[ndarray, bool]:
    """Read the numbers of a file as they are stored.

    Returns:
        [H, W] or [H, W, C] of any kind of number, and whether they are the steps of a PNG.

    Raises:
        DataError: the file is missing, broken, or of another format.
    """
    data = read_bytes(path, "map of numbers", ADVICE)
    if data.startswith(NPY):
        try:
            array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (*DAMAGE, MemoryError) as error:
            raise DataError(f"{path}: not a readable .npy file, or cut short ({error}); write it again") from None
        if array.dtype.kind not in "iuf":
            raise DataError(f"{path}: an array of {array.dtype}, expected numbers; store floats")
        return array, False
    if not data.startswith(PNG):
        raise DataError(
            f"{path}: neither .npy nor PNG; store numbers as .npy of floats, or as PNG of 8 or 16 bit (others lose "
            "values, or nobody says what they mean)"
        )
    try:
        with open_picture(data, path) as picture:
            mode = picture.mode
            picture.verify()  # checksums, which decoding ignores
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (*DAMAGE, cv2.error) as error:
        raise DataError(f"{path}: not a readable PNG, or cut short ({error}); copy or download it again") from None
    if decoded is None:
        raise DataError(f"{path}: not a readable PNG, or cut short; copy or download it again")
    if mode not in ("L", "I;16", "I", "RGB"):
        raise DataError(f"{path}: a PNG of {mode}, expected grey values or RGB without a palette or transparency")
    return decoded if decoded.ndim == 2 else decoded[..., ::-1], True


def read_value_size(path: str | Path, count: int) -> tuple[int, int] | None:
    """Width and height of a map, from the first bytes of its file; None where they cannot be read.

    Args:
        path: of the file.
        count: how many values a pixel has.
    """
    try:
        with open_file(path) as file:
            if not file.peek(8).startswith(NPY):
                return read_size(path)
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape = read(file)[0]
            height, width = shape[1:] if channel_axis(shape, count, path) == 0 else shape[:2]
    except (*DAMAGE, DataError):
        return None
    return width, height


def channel_axis(shape: tuple[int, ...], count: int, path: str | Path) -> int:
    """Which axis of a stored array has the values of a pixel; 2 where it has two axes and there is one value.

    Args:
        shape: of the array.
        count: how many values a pixel has.
        path: of the file.

    Raises:
        DataError: none has so many.
    """
    if (len(shape) == 2 and count == 1) or (len(shape) == 3 and shape[2] == count):
        return 2
    if len(shape) == 3 and shape[0] == count:
        return 0
    raise DataError(
        f"{path}: an array of {' x '.join(map(str, shape))}, expected {count} numbers a pixel, as the scheme names; "
        f"store [H, W{f', {count}' if count > 1 else ''}], or name in the scheme what is in the file"
    )
