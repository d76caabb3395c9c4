"""Candidates for joints: the peaks of heatmaps, and the tags there."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy import ndarray

from .enlarged import Enlarged

REACH = 2  # cells to each side among which a candidate is the highest
BESIDE = np.ones((3, 3), np.uint8)  # cells of a coarse map that a pixel can lie between
# To the other cells within reach, the nearest first: few are left for the rest.
STEPS = sorted(product(range(-REACH, REACH + 1), repeat=2), key=lambda step: abs(step[0]) + abs(step[1]))[1:]


class Candidates(NamedTuple):
    """M candidates for each of K joints, best first."""

    cells: ndarray  # [K, M, 2] int64 (x, y), in pixels of the input
    values: ndarray  # [K, M], of the heatmaps; 0 where there is no candidate any more
    tags: ndarray  # [K, M, T]


def find_candidates(heatmaps: Enlarged, tags: Enlarged, threshold: float, most: int) -> Candidates:
    """The peaks of each map, and the tags there.

    Args:
        heatmaps: [K, ...].
        tags: [K * T, ...], the T of a joint one after the other.
        threshold: what a candidate exceeds, 0 at least.
        most: how many are found in each map.
    """
    cells, values = find_peaks(heatmaps, threshold, most)
    rows = np.arange(len(tags.maps)).reshape(len(cells), 1, -1)  # [K, 1, T]
    with np.errstate(invalid="ignore"):  # what is not finite is nobody's
        return Candidates(cells, values, tags.at(rows, cells[..., :1], cells[..., 1:]))


def find_peaks(heatmaps: Enlarged, threshold: float, most: int) -> tuple[ndarray, ndarray]:
    """The highest pixels of each map above a threshold that none of the 5 x 5 around exceeds, best first.

    A map is enlarged only where one of the cells around exceeds the threshold.

    Args:
        heatmaps: [K, ...]; what lies beyond the input counts as a neighbour alone.
        threshold: what a peak exceeds, 0 at least.
        most: how many are found in each map.

    Returns:
        pixels [K, most, 2] (x, y), and their values [K, most]; both are 0 where there is no peak any more.
    """
    maps, factor = heatmaps.maps, heatmaps.factor
    near = np.flatnonzero(np.stack([cv2.dilate(one, BESIDE) for one in maps]) > threshold)
    values = heatmaps.cells(near)
    i, dy, dx = np.nonzero(values > threshold)
    rows, column = np.divmod(near[i], maps.shape[2])
    k, row = np.divmod(rows, maps.shape[1])
    y, x = row * factor + dy, column * factor + dx
    inner = heatmaps.inner(x, y)
    k, y, x, values = k[inner], y[inner], x[inner], values[i, dy, dx][inner]
    # Below the threshold nothing is written: it exceeds no peak. Margins spare a test for the edges.
    height, width = (side * factor + 2 * REACH for side in maps.shape[1:])
    written = np.zeros(len(maps) * height * width, maps.dtype)
    places = (k * height + y + REACH) * width + x + REACH
    written[places] = values
    kept = np.arange(len(places))
    for down, right in STEPS:
        kept = kept[values[kept] >= written[places[kept] + down * width + right]]
    kept = kept[(y[kept] < heatmaps.size_hw[0]) & (x[kept] < heatmaps.size_hw[1])]
    kept = kept[np.lexsort((-values[kept], k[kept]))]
    joints = k[kept]
    rank = np.arange(len(kept)) - np.searchsorted(joints, joints)
    kept, joints, rank = kept[rank < most], joints[rank < most], rank[rank < most]
    cells, heights = np.zeros((len(maps), most, 2), np.int64), np.zeros((len(maps), most), maps.dtype)
    cells[joints, rank, 0], cells[joints, rank, 1], heights[joints, rank] = x[kept], y[kept], values[kept]
    return cells, heights
