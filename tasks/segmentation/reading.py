"""Reading label files: one value a pixel, as it was stored."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import UnidentifiedImageError

from hrtoolkit.data.images import DAMAGE, open_picture
from hrtoolkit.data.paths import read_bytes
from hrtoolkit.errors import DataError

LABEL_MODES = ("1", "L", "P", "I;16", "I")  # of Pillow: one value a pixel
LOSSY = ("JPEG", "MPO")
SPREAD = {"L;2": 85, "L;4": 17}  # factors by which Pillow spreads grey values of few bits over a byte


class LabelFile(NamedTuple):
    """What a label file holds."""

    values: np.ndarray  # uint8 or int32 [H, W]; of a palette PNG its indices
    palette: np.ndarray | None  # uint8 [N, 3] colors of a palette PNG


def read_label_file(path: str | Path) -> LabelFile:
    """Read the values of a label file; of a palette PNG its indices count, not its colors.

    Raises:
        DataError: the file is missing, broken, lossy, of MATLAB, or holds colors.
    """
    if Path(path).suffix == ".mat":
        raise DataError(f"{path}: MATLAB label files are made into PNGs first, see tools/convert_labels.py")
    data = read_bytes(path, "label file", "; copy it there or correct the dataset's folders")
    try:
        with open_picture(data, path) as image:
            image.verify()  # checksums, which decoding ignores
        with open_picture(data, path) as image:
            kind, mode, stored_as = image.format, image.mode, image.tile[0][3]
            values = np.asarray(image)  # decodes
            palette = np.reshape(image.getpalette(), (-1, 3)).astype(np.uint8) if mode == "P" else None
    except DAMAGE as error:
        detail = "" if isinstance(error, UnidentifiedImageError) else f"; {error}"  # that names an object in memory
        raise DataError(
            f"{path}: not a readable label image, or cut short ({len(data)} bytes{detail}); copy or download it again"
        ) from None
    if kind in LOSSY:
        raise DataError(
            f"{path}: a {kind} does not keep class values as they were; make the label files PNGs from the source"
        )
    if mode not in LABEL_MODES:
        raise DataError(
            f"{path}: a label file holds one class value a pixel (grey or palette PNG), but this one is {mode}; "
            "convert its colors to class values first"
        )
    if stored_as in SPREAD:
        values = values // SPREAD[stored_as]
    if values.dtype == bool:
        values = values.astype(np.uint8)
    return LabelFile(values if values.dtype == np.uint8 else values.astype(np.int32), palette)
