"""Maps read as if they were enlarged to the pixels of the input, where somebody looks and nowhere else."""

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

    def inner(self, x: ndarray, y: ndarray) -> ndarray:
        """Which pixels of the maps do not repeat one further inside, see `edge_of`."""
        edge, (height, width) = edge_of(self.factor), (side * self.factor for side in self.maps.shape[-2:])
        return (x >= edge) & (x < width - edge) & (y >= edge) & (y < height - edge)

    def cells(self, cells: ndarray) -> ndarray:
        """The pixels [N, factor, factor] of cells [N], counted through all maps row by row; edges are repeated."""
        height, width = self.maps.shape[-2:]
        padded = np.pad(self.maps, ((0, 0), (1, 1), (1, 1)), mode="edge").ravel()
        rows, column = np.divmod(cells, width)
        which, row = np.divmod(rows, height)
        first = (which * (height + 2) + row) * (width + 2) + column  # the one above and to the left
        steps = np.arange(3)[:, None] * (width + 2) + np.arange(3)
        weights = _weigh(self.factor, self.factor, 3)
        around = padded[first[:, None] + steps.ravel()]  # [N, 9]
        return (around @ np.kron(weights, weights).T).reshape(-1, self.factor, self.factor)

    def blocks(self, which: ndarray, x: ndarray, y: ndarray) -> ndarray:
        """Blocks of pixels [..., BLOCK, BLOCK] of the maps `which`, x and y counted in blocks; edges are repeated."""
        height, width = self.maps.shape[-2:]
        around = np.arange(-1, BLOCK // self.factor + 1)  # a block reads a cell beyond its own on either side
        rows = np.clip(y[..., None] * (BLOCK // self.factor) + around, 0, height - 1)
        columns = np.clip(x[..., None] * (BLOCK // self.factor) + around, 0, width - 1)
        cells = self.maps[which[..., None, None], rows[..., None], columns[..., None, :]]
        weights = _weigh(BLOCK, self.factor, len(around))
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


def edge_of(factor: int) -> int:
    """How many pixels at an edge repeat the one further inside, where a cell is `factor` pixels.

    Whatever looks for the highest leaves them out: which of equal ones is highest would be left to rounding.
    """
    return max(factor // 2 - 1, 0)


def _between(pixels: ndarray, factor: int, cells: int) -> tuple[ndarray, ndarray, ndarray]:
    """The cells before and after pixels, and how far on the way from one to the other they lie."""
    place = np.clip((pixels + 0.5) / factor - 0.5, 0, cells - 1)
    before = place.astype(np.int64)
    return before, np.minimum(before + 1, cells - 1), (place - before).astype(np.float32)


def _weigh(pixels: int, factor: int, cells: int) -> ndarray:
    """What each of `pixels` takes from each of `cells`, [pixels, cells]; the pixels begin after the first cell."""
    before, after, share = _between(np.arange(pixels) + factor, factor, cells)
    weights = np.zeros((pixels, cells), np.float32)
    weights[np.arange(pixels), before] = 1 - share
    weights[np.arange(pixels), after] += share
    return weights
