"""Pictures that are in memory already, as RGB uint8 [H, W, 3]."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .errors import DataError

CHANNELS = (1, 3, 4)
SHAPES = "[H, W, 3], [H, W], [H, W, 4] or [3, H, W], or a batch of these"


def to_images(array: Any, name: str, order: str) -> list[np.ndarray]:
    """Make RGB uint8 [H, W, 3] of an array or tensor; a batch gives several. The arrays are copies.

    Convention: whole numbers are from 0 to 255, those of 16 bits without sign from 0 to 65535. Floats are from 0 to 1
    where none is above 1.1, else from 0 to 255. Alpha is left out. Where both ends of the shape could be the channels,
    they come last in an array and first in a tensor.

    Args:
        array: [H, W], [H, W, 1 to 4], [1, 3 or 4, H, W], or a batch of them.
        name: what errors call it.
        order: of its channels, "rgb" or "bgr".

    Raises:
        DataError: its shape, type or values are none of these.
    """
    torch = sys.modules.get("torch")
    channels_first = torch is not None and isinstance(array, torch.Tensor)
    if torch is not None and channels_first:
        array = array.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    array = np.asarray(array)
    if array.ndim not in (2, 3, 4) or not array.size:
        raise DataError(f"{name}: an array of shape {list(array.shape)}; a picture is {SHAPES}")
    pictures = _to_bytes(array, name)
    pictures = pictures if array.ndim == 4 else pictures[None]
    return [np.ascontiguousarray(_to_color(picture, name, order, channels_first)) for picture in pictures]


def _to_bytes(array: np.ndarray, name: str) -> np.ndarray:
    """Scale values to 0 ... 255, as uint8 in a copy."""
    kind = array.dtype
    if kind == np.uint8:
        return array.copy()
    if kind == np.bool_:
        return array.astype(np.uint8) * 255
    if kind == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind.kind not in "iuf":
        raise DataError(f"{name}: an array of {kind}; give uint8, or floats from 0 to 1")
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise DataError(f"{name}: an array with values that are not finite (NaN or infinite)")
    is_float = kind.kind == "f"
    scale = 255.0 if is_float and high <= 1.1 else 1.0
    # What resizing overshoots is cut off; small numbers below zero are what is left when a mean was taken off.
    slack = 0.1 if scale == 255 or high < 10 else 10
    if low < -slack * is_float or high > 255 / scale + slack * is_float:
        raise DataError(
            f"{name}: an array of {kind} with values from {low:g} to {high:g}; give uint8, or floats from 0 to 1, "
            "before any mean is taken off"
        )
    return np.rint(np.clip(array * scale, 0, 255)).astype(np.uint8)


def _to_color(picture: np.ndarray, name: str, order: str, channels_first: bool) -> np.ndarray:
    if picture.ndim == 2:
        picture = picture[..., None]
    elif picture.shape[0] in CHANNELS and (channels_first or picture.shape[2] not in (2, *CHANNELS)):
        picture = picture.transpose(1, 2, 0)
    elif picture.shape[2] not in (2, *CHANNELS):
        raise DataError(f"{name}: an array of shape {list(picture.shape)}; a picture is {SHAPES}")
    if picture.shape[2] <= 2:  # gray, or gray and alpha
        return np.repeat(picture[..., :1], 3, axis=2)
    return picture[..., :3] if order == "rgb" else picture[..., 2::-1]
