"""Shapes that tools draw in other ways than by corners or pixels of the image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from hrtoolkit.masks import Masks, encode_masks

CORNERS = 64


def to_ring(corners: Iterable[Sequence[float]]) -> list[float]:
    """The polygon x, y, x, y, ... of corners.

    Raises:
        ValueError: there are fewer than three.
    """
    ring = [value for corner in corners for value in corner]
    if len(ring) < 6:
        raise ValueError("a polygon of fewer than three points")
    return ring


def extent_of(rings: Iterable[Sequence[float]]) -> np.ndarray:
    """The box x1, y1, x2, y2 around polygons x, y, x, y, ..."""
    corners = np.concatenate([np.reshape(ring, (-1, 2)) for ring in rings])
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def ellipse_outline(x: float, y: float, width: float, height: float, angle: float = 0.0) -> list[float]:
    """The polygon x, y, x, y, ... of an ellipse, whose area differs from its own by 0.2 %.

    Args:
        x: of its centre.
        y: of its centre.
        width: its radius along its own axis.
        height: its other radius.
        angle: that the axis is turned by, in radians, clockwise on the screen.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    ring = []
    for step in range(CORNERS):
        turn = 2 * math.pi * step / CORNERS
        along, across = width * math.cos(turn), height * math.sin(turn)
        ring += [x + along * cos - across * sin, y + along * sin + across * cos]
    return ring


def turned_box(box_xyxy: Sequence[float], degrees: float, pivot: Sequence[float] | None = None) -> list[float]:
    """The polygon x, y, x, y, ... of a box that is turned clockwise on the screen, about its centre or a pivot."""
    x1, y1, x2, y2 = box_xyxy
    pivot = ((x1 + x2) / 2, (y1 + y2) / 2) if pivot is None else pivot
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], float)
    return ((corners - pivot) @ turn + pivot).ravel().tolist()


def paste_mask(mask: np.ndarray, left: int, top: int, size_wh: Sequence[int]) -> dict:
    """COCO's run lengths of a mask [h, w] that lies in an image; what reaches beyond its edges is cut.

    Raises:
        ValueError: nothing of it lies in the image.
    """
    whole = np.zeros((size_wh[1], size_wh[0]), bool)
    part = whole[max(top, 0) : max(top + mask.shape[0], 0), max(left, 0) : max(left + mask.shape[1], 0)]
    if not part.size:
        raise ValueError("a mask outside of its image")
    rows, columns = max(-top, 0), max(-left, 0)
    part[:] = mask[rows : rows + part.shape[0], columns : columns + part.shape[1]]
    return encode_masks(whole[None])[0]


def outline_of_rings(rings: Sequence[Sequence[float]], size_wh: Sequence[int]) -> dict:
    """Rings as the `polygons` of an instance, or as its `run_lengths` where one may be a hole in another one.

    Args:
        rings: polygons x, y, x, y, ...; what an even number of them holds is no part of the object.
        size_wh: of the image.

    Raises:
        ValueError: a ring has fewer than three points.
    """
    if min(map(len, rings)) < 6:
        raise ValueError("a polygon of fewer than three points")
    boxes = [extent_of([ring]) for ring in rings]
    overlap = any((np.maximum(a[:2], b[:2]) < np.minimum(a[2:], b[2:])).all() for a, b in combinations(boxes, 2))
    if not overlap:
        return {"polygons": rings}
    drawn = Masks((size_wh[1], size_wh[0]), [[list(ring)] for ring in rings]).draw()
    return {"run_lengths": encode_masks(np.bitwise_xor.reduce(drawn, axis=0)[None])[0]}
