"""The highest places of smoothed heatmaps: of all of them at once, or on a CPU without smoothing what cannot be it."""

from __future__ import annotations

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from hrtoolkit.keypoints.codecs import find_peaks, find_slopes
from hrtoolkit.tasks.bottom_up.peaks import clear_beyond, smooth

STEP = 0.25  # cells towards the higher neighbour
FEW = 1 / 16  # share of the cells up to which looking at each is faster than smoothing them all
ROUNDING = 1e-6


def read_heatmaps(heatmaps: Tensor, sizes_hw: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """The highest place of each smoothed heatmap, a quarter of a cell towards the higher neighbours.

    Args:
        heatmaps: [B, M, h, w], above 0.
        sizes_hw: [B, 2], rows and columns without a batch's padding.
        kernel: cells that are averaged over, see `smooth`.

    Returns:
        places [B, M, 2] (x, y) in cells, and values [B, M].
    """
    smoothed = clear_beyond(smooth(clear_beyond(heatmaps, sizes_hw), kernel), sizes_hw)
    cells, heights = find_peaks(smoothed)
    inside = (cells > 0) & (cells < sizes_hw[:, None].flip(-1) - 1)
    return cells + STEP * find_slopes(smoothed, cells) * inside, heights


def read_peaked(heatmaps: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """What `read_heatmaps` gives of one image [1, M, h, w] without padding, of peaks in a tenth of the time.

    No cell is higher, once smoothed, than halfway between itself and the highest of all: those for which that is too
    low are left alone.
    """
    maps, rows = heatmaps[0].float().numpy(), heatmaps[0].float().amax(-1).numpy()  # torch is twice as fast at that
    every = np.arange(len(maps))
    highest, y = rows.max(axis=1), rows.argmax(axis=1)
    x = maps[every, y].argmax(axis=1)
    least = 2 * _smoothed_at(maps, kernel, every, y, x) - highest - ROUNDING
    m, y = np.nonzero(rows >= least[:, None])
    if len(m) > FEW * rows.size:
        return read_heatmaps(heatmaps, torch.tensor([maps.shape[1:]]).to(heatmaps.device), kernel)
    i, x = np.nonzero(maps[m, y] >= least[m, None])
    m, y = m[i], y[i]
    values = _smoothed_at(maps, kernel, m, y, x)
    best = np.maximum.reduceat(values, np.searchsorted(m, every))
    hits = np.flatnonzero(values == best[m])
    first = hits[np.searchsorted(m[hits], every)]  # of equal ones, in the order of rows
    y, x = y[first], x[first]
    slopes = [
        np.sign(_smoothed_at(maps, kernel, every, y + dy, x + dx) - _smoothed_at(maps, kernel, every, y - dy, x - dx))
        for dy, dx in ((0, 1), (1, 0))
    ]
    height, width = maps.shape[1:]
    inside = np.stack([(x > 0) & (x < width - 1), (y > 0) & (y < height - 1)], axis=1)
    places = np.stack([x, y], axis=1) + STEP * np.stack(slopes, axis=1) * inside
    return torch.from_numpy(places.astype(np.float32))[None], torch.from_numpy(best)[None]


def _smoothed_at(maps: ndarray, kernel: int, m: ndarray, y: ndarray, x: ndarray) -> ndarray:
    """Values [N] that maps [M, h, w] have at cells after `smooth`; cells beyond the edges are 0."""
    height, width = maps.shape[1:]
    reach = kernel // 2

    def read(y: ndarray, x: ndarray) -> ndarray:
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        return np.where(inside, maps[m, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)], 0)

    around = range(-reach, reach + 1)
    total = sum(read(y + dy, x + dx) for dy in around for dx in around)
    return (read(y, x) + total / kernel**2) / 2
