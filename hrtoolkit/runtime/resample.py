"""Resizing as Pillow and PyTorch do it, in NumPy: networks see the pixels that they were tested with.

Convention: sizes in arguments are (width, height) where Pillow has it so, and (height, width) in names with `_hw`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray

PRECISION_BITS = 32 - 8 - 2  # of Pillow's weights in fixed point


def _bilinear(x: ndarray) -> ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _box(x: ndarray) -> ndarray:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _hamming(x: ndarray) -> ndarray:
    x = np.abs(x)
    turned = np.where(x == 0, 1, x) * math.pi
    return np.where(x == 0, 1, np.where(x >= 1, 0, np.sin(turned) / turned * (0.54 + 0.46 * np.cos(turned))))


def _bicubic(x: ndarray) -> ndarray:
    a, x = -0.5, np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: ndarray) -> ndarray:
    def sinc(x: ndarray) -> ndarray:
        turned = np.where(x == 0, 1, x) * math.pi
        return np.where(x == 0, 1, np.sin(turned) / turned)

    return np.where((x >= -3) & (x < 3), sinc(x) * sinc(x / 3), 0)


FILTERS: dict[str, tuple[Callable[[ndarray], ndarray], float]] = {  # with the reach of each, in pixels
    "bilinear": (_bilinear, 1),
    "box": (_box, 0.5),
    "hamming": (_hamming, 1),
    "bicubic": (_bicubic, 2),
    "lanczos": (_lanczos, 3),
}


def resize_like_pillow(
    image: ndarray, size: tuple[int, int], interpolation: str, part: tuple[int, int, int, int] | None = None
) -> ndarray:
    """Resize an image as Pillow does, which averages where it shrinks; equal to it bit for bit.

    Args:
        image: uint8 [H, W, 3].
        size: width and height of the result.
        interpolation: "nearest" or one of FILTERS.
        part: left, top, right and bottom of the part of the result that is wanted, which lies inside; all by default.

    Returns:
        uint8 [h, w, 3].
    """
    (height, width), (left, top, right, bottom) = image.shape[:2], part or (0, 0, *size)
    if interpolation == "nearest":
        rows, columns = _nearest(height, size[1]), _nearest(width, size[0])
        return image[rows[top:bottom, None], columns[left:right]]

    def across(pixels: ndarray) -> ndarray:
        return _average(pixels.swapaxes(0, 1), size[0], slice(left, right), interpolation).swapaxes(0, 1)

    def down(pixels: ndarray) -> ndarray:
        return _average(pixels, size[1], slice(top, bottom), interpolation)

    # Between both passes grey levels are rounded. This is the order of Pillow 13; earlier ones always begin across.
    down_first = size[1] < height and height - size[1] > 2 * (width - size[0])
    return np.ascontiguousarray(across(down(image)) if down_first else down(across(image)))


def _nearest(length: int, wanted: int) -> ndarray:
    step = length / wanted
    start = step * 0.5
    return np.add.accumulate(np.array([start] + [step] * (wanted - 1))).astype(np.int64)  # as Pillow adds them up


def _taps(
    length: int, wanted: int, part: slice, weigh: Callable[[ndarray], ndarray], reach: float
) -> tuple[ndarray, ndarray]:
    """Which pixels make up each pixel of a resized row, and how much of them, in fixed point: int [n, taps] each."""
    scale = length / wanted
    blur = max(scale, 1.0)
    support = reach * blur
    centers = (np.arange(wanted)[part] + 0.5) * scale
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centers + support + 0.5).astype(np.int64), length)
    positions = first[:, None] + np.arange((end - first).max())
    inside = positions < end[:, None]
    weights = np.where(inside, weigh((positions - centers[:, None] + 0.5) * (1.0 / blur)), 0.0)
    total = np.add.accumulate(weights, axis=1)[:, -1:]  # one after another, as Pillow does
    weights = np.where(total != 0, weights / np.where(total == 0, 1, total), weights)
    fixed = np.trunc(weights * (1 << PRECISION_BITS) + np.copysign(0.5, weights)).astype(np.int32)
    return np.where(inside, positions, first[:, None]), fixed


def _average(image: ndarray, wanted: int, part: slice, interpolation: str) -> ndarray:
    """Resize the rows of an image, uint8 [H, W, 3], to a number of which a part is made."""
    if len(image) == wanted:  # Pillow leaves out what changes nothing
        return image[part]
    positions, weights = _taps(len(image), wanted, part, *FILTERS[interpolation])
    total = np.full((len(positions), *image.shape[1:]), 1 << (PRECISION_BITS - 1), np.int32)
    image = np.ascontiguousarray(image)
    for tap in range(positions.shape[1]):
        total += image[positions[:, tap]] * weights[:, tap, None, None]
    return np.clip(total >> PRECISION_BITS, 0, 255).astype(np.uint8)


class Neighbours(NamedTuple):
    """The two pixels around each of N places in a row."""

    first: ndarray  # int [N]
    second: ndarray  # int [N]
    share: ndarray  # float32 [N], how much counts the second


def resize_like_torch(maps: ndarray, size_hw: tuple[int, int], align_corners: bool = False) -> ndarray:
    """Resize maps bilinearly, as `torch.nn.functional.interpolate` does.

    Args:
        maps: float32 [..., H, W].
        size_hw: of the result.
        align_corners: whether the middles of the first and the last pixels stay where they are, not their outer edges.

    Returns:
        float32 [..., h, w].
    """
    if maps.shape[-2:] == tuple(size_hw):
        return maps
    rows, columns = (
        _neighbours(length, wanted, align_corners) for length, wanted in zip(maps.shape[-2:], size_hw, strict=True)
    )
    return blend(maps, rows, columns)


def blend(maps: ndarray, rows: Neighbours, columns: Neighbours) -> ndarray:
    """Mix the pixels of maps [..., H, W] that are neighbours, float32 [..., h, w].

    One map after another, which stays in the processor's cache. Products of matrices take as long, and their threads
    would fight with those of the network.

    Args:
        maps: float32.
        rows: of h.
        columns: of w.
    """
    (top, bottom, y), (left, right, x) = rows, columns
    y = y[:, None]
    blended = np.empty((*maps.shape[:-2], len(top), len(left)), np.float32)
    for place in np.ndindex(maps.shape[:-2]):
        one = maps[place]
        across = one.take(left, axis=1) * (1 - x) + one.take(right, axis=1) * x
        np.multiply(across[top], 1 - y, out=blended[place])
        blended[place] += across[bottom] * y
    return blended


def _neighbours(length: int, wanted: int, align_corners: bool) -> Neighbours:
    """Those of each pixel of a resized row."""
    places = np.arange(wanted, dtype=np.float64)
    # The step is in single precision, and its product is not rounded before the difference, as PyTorch has it.
    if align_corners:
        places = places * (np.float32(length - 1) / np.float32(max(wanted - 1, 1)))
    else:
        places = (places + 0.5) * (np.float32(length) / np.float32(wanted)) - 0.5
    return neighbours(places, length)


def neighbours(places: ndarray, length: int) -> Neighbours:
    """The two pixels around places [N] in a row of `length` pixels, which end at the first and the last."""
    places = np.maximum(places, 0).astype(np.float32)
    first = np.minimum(places.astype(np.int64), length - 1)
    return Neighbours(first, np.minimum(first + 1, length - 1), np.clip(places - first.astype(np.float32), 0, 1))
