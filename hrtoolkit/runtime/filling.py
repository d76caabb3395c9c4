"""Joints that a person lacks, looked for on all of the map by the person's tags.

The height of a place is the heatmap minus the rounded distance of its tags from those of the person. A map of half the
input's resolution is read as if it were enlarged first, pixel by pixel of the input, but only where the highest place
can be: the maps are cut into blocks, and a block whose bound is below what was already found is never looked at.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from .enlarged import BLOCK, Enlarged


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
        inside = heatmaps.inner(x, y) & (x < width) & (y < height)
        total = np.where(inside, total, -np.inf).reshape(len(open_), -1)
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
