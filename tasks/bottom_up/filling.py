"""Joints that a person lacks, looked for on all of the map by the person's tags.

The height of a place is the heatmap minus the rounded distance of its tags from those of the person. A map of half the
input's resolution is read as if it were enlarged first, pixel by pixel of the input, but only where the highest place
can be: the maps are cut into blocks, and a block whose bound is below what was already found is never looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy import ndarray

BLOCK = 16  # input pixels


class Enlarged(NamedTuple):
    """Maps that are read at pixels of the input, by bilinear enlarging."""

    maps: ndarray  # [N, h, w] float32
    factor: int  # input pixels a cell
    size_hw: tuple[int, int]  # of the input; the maps may go on beyond it

    def at(self, which: ndarray, x: ndarray, y: ndarray) -> ndarray:
        """Values of the maps `which` at pixels x, y of the input, all of one shape or broadcast to it."""
        height, width = self.maps.shape[-2:]
        left, right, column = _between(x, self.factor, width)
        above, below, row = _between(y, self.factor, height)
        upper = self.maps[which, above, left] * (1 - column) + self.maps[which, above, right] * column
        lower = self.maps[which, below, left] * (1 - column) + self.maps[which, below, right] * column
        return upper * (1 - row) + lower * row

    def blocks(self, which: ndarray, x: ndarray, y: ndarray) -> ndarray:
        """Blocks of pixels [..., BLOCK, BLOCK] of the maps `which`, x and y counted in blocks; edges are repeated."""
        height, width = self.maps.shape[-2:]
        around = np.arange(-1, BLOCK // self.factor + 1)  # a block reads a cell beyond its own on either side
        rows = np.clip(y[..., None] * (BLOCK // self.factor) + around, 0, height - 1)
        columns = np.clip(x[..., None] * (BLOCK // self.factor) + around, 0, width - 1)
        cells = self.maps[which[..., None, None], rows[..., None], columns[..., None, :]]
        before, after, share = _between(np.arange(BLOCK) + self.factor, self.factor, len(around))
        weights = np.zeros((BLOCK, len(around)), np.float32)
        weights[np.arange(BLOCK), before] = 1 - share
        weights[np.arange(BLOCK), after] += share
        # One product of matrices for all blocks, along x and then along y.
        across = (cells.reshape(-1, len(around)) @ weights.T).reshape(-1, len(around), BLOCK)
        down = across.swapaxes(1, 2).reshape(-1, len(around)) @ weights.T
        return down.reshape(*cells.shape[:-2], BLOCK, BLOCK).swapaxes(-1, -2)

    def bounds(self, which: ndarray, highest: bool) -> ndarray:
        """What nothing in a block of the maps `which` [M] exceeds, or goes below: [M, blocks], row by row."""
        step, (rows, columns) = BLOCK // self.factor, (-(-side // BLOCK) for side in self.size_hw)
        kernel, bound = np.ones((step + 2, step + 2), np.uint8), cv2.dilate if highest else cv2.erode
        found = [bound(self.maps[i], kernel, anchor=(1, 1))[::step, ::step] for i in which]
        return np.stack([one[:rows, :columns].reshape(-1) for one in found])


def _between(pixels: ndarray, factor: int, cells: int) -> tuple[ndarray, ndarray, ndarray]:
    """The cells before and after pixels, and how far on the way from one to the other they lie."""
    place = np.clip((pixels + 0.5) / factor - 0.5, 0, cells - 1)
    before = place.astype(np.int64)
    return before, np.minimum(before + 1, cells - 1), (place - before).astype(np.float32)


def search_missing(heatmaps: Enlarged, tags: Enlarged, joints: ndarray, wanted: ndarray) -> tuple[ndarray, ndarray]:
    """The best place of a joint for each of M people that lack it.

    Args:
        heatmaps: [K, ...].
        tags: [K * T, ...], the T of a joint one after the other.
        joints: [M], which joint each lacks.
        wanted: [M, T], their tags.

    Returns:
        pixels [M, 2] (x, y) of the input, and the heatmap there [M].
    """
    count, length = wanted.shape
    rows = joints[:, None] * length + np.arange(length)  # [M, T]
    height, width = heatmaps.size_hw
    inner_y, inner_x = np.mgrid[:BLOCK, :BLOCK]
    bounds = _bound(heatmaps, tags, joints, rows[:, 0], wanted[:, 0])
    best = np.full(count, -np.inf, np.float32)
    places, heights = np.zeros((count, 2), np.int64), np.zeros(count, np.float32)
    open_, many = np.arange(count), 1
    while len(open_):
        own = bounds[open_]
        many = min(many, own.shape[1])
        chosen = np.argpartition(-own, many - 1, axis=1)[:, :many]
        np.put_along_axis(own, chosen, -np.inf, axis=1)
        bounds[open_] = own
        y, x = np.divmod(chosen, -(-width // BLOCK))
        heat = heatmaps.blocks(joints[open_, None], x, y)  # [open, many, BLOCK, BLOCK]
        apart = tags.blocks(rows[open_, :, None], x[:, None], y[:, None]) - wanted[open_, :, None, None, None]
        total = heat - np.rint(np.sqrt((apart**2).sum(axis=1)))
        x, y = (at[..., None, None] * BLOCK + inner for at, inner in ((x, inner_x), (y, inner_y)))
        total = np.where((x < width) & (y < height), total, -np.inf).reshape(len(open_), -1)
        pick, at = np.arange(len(open_)), total.argmax(axis=1)
        better = total[pick, at] > best[open_]
        pick, at, who = pick[better], at[better], open_[better]
        best[who] = total[pick, at]
        heights[who], places[who, 0], places[who, 1] = (one.reshape(len(open_), -1)[pick, at] for one in (heat, x, y))
        open_, many = open_[own.max(axis=1) > best[open_]], 2 * many
    return places, heights


def _bound(heatmaps: Enlarged, tags: Enlarged, joints: ndarray, rows: ndarray, wanted: ndarray) -> ndarray:
    """What no place in a block exceeds, [M, blocks], by the first of the tags: a mirrored input gives the same."""
    used, back = np.unique(joints, return_inverse=True)
    used_rows = np.zeros(len(used), np.int64)
    used_rows[back] = rows
    low, high = (tags.bounds(used_rows, highest)[back] for highest in (False, True))
    apart = np.maximum(np.maximum(low - wanted[:, None], wanted[:, None] - high), 0)
    return heatmaps.bounds(used, True)[back] - np.rint(apart)


def find_steps(heatmaps: Enlarged, joints: ndarray, places: ndarray) -> ndarray:
    """Where the higher neighbour is: 1 or -1 along x and y [..., 2]; -1 where both are equal.

    Args:
        heatmaps: [K, ...].
        joints: [...].
        places: [..., 2], pixels (x, y) of the input.
    """
    height, width = heatmaps.size_hw
    x, y = places[..., 0], places[..., 1]
    right = heatmaps.at(joints, np.minimum(x + 1, width - 1), y) > heatmaps.at(joints, np.maximum(x - 1, 0), y)
    below = heatmaps.at(joints, x, np.minimum(y + 1, height - 1)) > heatmaps.at(joints, x, np.maximum(y - 1, 0))
    return np.where(np.stack([right, below], axis=-1), 1, -1)
