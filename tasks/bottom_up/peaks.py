"""Peaks of maps: the centres of people, as CID and DEKR find them, and candidates for joints."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor

from hrtoolkit.tasks.bottom_up.enlarged import Enlarged

MOST_PEOPLE = 30  # of an image
AROUND = np.ones((5, 5), np.uint8)  # cells in which a candidate for a joint is the highest
BESIDE = np.ones((3, 3), np.uint8)  # cells of a coarse map that a pixel can lie between
# To the other cells of AROUND, the nearest first: few are left for the rest.
STEPS = sorted(product(range(-2, 3), repeat=2), key=lambda step: abs(step[0]) + abs(step[1]))[1:]


def smooth(maps: Tensor, kernel: int) -> Tensor:
    """The mean of maps [..., H, W] and of their average over `kernel` x `kernel` cells; cells outside count as 0.

    Args:
        maps: [..., H, W].
        kernel: an odd number of cells.
    """
    flat = maps.flatten(0, -3)[:, None]
    return (maps + F.avg_pool2d(flat, kernel, stride=1, padding=kernel // 2).view_as(maps)) / 2


def clear_beyond(maps: Tensor, sizes_hw: Tensor) -> Tensor:
    """Maps [B, C, H, W] with 0 where a batch's padding is.

    Args:
        maps: [B, C, H, W].
        sizes_hw: [B, 2], rows and columns without padding.
    """
    rows, columns = (torch.arange(n, device=maps.device) for n in maps.shape[-2:])
    height, width = sizes_hw[:, 0, None], sizes_hw[:, 1, None]
    inside = (rows < height)[:, :, None] & (columns < width)[:, None, :]
    return torch.where(inside[:, None], maps, 0)


def find_centers(maps: Tensor, sizes_hw: Tensor, threshold: float, most: int = MOST_PEOPLE) -> tuple[Tensor, Tensor]:
    """The highest cells of each map that no neighbour exceeds, best first; of equal neighbours all are found.

    The neighbourhood grows with the map, as in the official code: 3 x 3 cells, 5 x 5 where height and width are above
    200 on average, 7 x 7 above 300.

    Args:
        maps: [B, H, W]; 0 beyond `sizes_hw`.
        sizes_hw: [B, 2], rows and columns without a batch's padding.
        threshold: what a peak has to exceed, 0 at least.
        most: how many are found in each map.

    Returns:
        cells [B, most, 2] (x, y), and their values [B, most]; both are 0 where there is no peak any more.
    """
    width = maps.shape[-1]
    highest = F.max_pool2d(maps[:, None], 3, stride=1, padding=1)
    total = sizes_hw.sum(1)[:, None, None, None]
    for limit in (400, 600):  # 3 x 3 cells around 3 x 3 cells are 5 x 5
        if not torch.compiler.is_exporting() and sum(maps.shape[-2:]) <= limit:
            break  # an exported graph takes maps of any size
        highest = torch.where(total > limit, F.max_pool2d(highest, 3, stride=1, padding=1), highest)
    peaks = torch.where(maps == highest[:, 0], maps, 0).flatten(1)
    values, places = F.pad(peaks, (0, most)).topk(most)  # padded: a map may have fewer cells
    found = values > threshold
    places = torch.where(found, places, 0)
    rows = places // width
    return torch.stack([places - rows * width, rows], dim=-1), torch.where(found, values, 0)


def keep_peaks(maps: Tensor) -> Tensor:
    """Maps [B, K, H, W] with 0 where one of the 5 x 5 cells around is higher."""
    if maps.device.type == "cpu" and not torch.compiler.is_exporting():  # a small part of a pooling layer's time
        planes = np.ascontiguousarray(maps.flatten(0, 1).numpy())
        dilated = np.empty_like(planes)
        for plane, out in zip(planes, dilated, strict=True):
            cv2.dilate(plane, AROUND, dst=out)
        highest = torch.from_numpy(dilated).view_as(maps)
    else:
        highest = F.max_pool2d(maps, len(AROUND), stride=1, padding=len(AROUND) // 2)
    return torch.where(maps == highest, maps, 0)


def find_candidates(heatmaps: Enlarged, threshold: float, most: int) -> tuple[ndarray, ndarray]:
    """The highest pixels of each enlarged map above a threshold that none of the 5 x 5 around exceeds, best first.

    The map is enlarged only where one of the cells around exceeds the threshold.

    Args:
        heatmaps: [K, ...]; what lies beyond the input counts as a neighbour alone.
        threshold: what a candidate exceeds, 0 at least.
        most: how many are found in each map.

    Returns:
        pixels [K, most, 2] (x, y), and their values [K, most]; both are 0 where there is no candidate any more.
    """
    maps, factor = heatmaps.maps, heatmaps.factor
    near = np.flatnonzero(np.stack([cv2.dilate(one, BESIDE) for one in maps]) > threshold)
    values = heatmaps.cells(near)
    i, dy, dx = np.nonzero(values > threshold)
    values = values[i, dy, dx]
    rows, column = np.divmod(near[i], maps.shape[2])
    k, row = np.divmod(rows, maps.shape[1])
    y, x = row * factor + dy, column * factor + dx
    # Below the threshold nothing is written: it exceeds no candidate. Margins spare a test for the edges.
    reach = len(AROUND) // 2
    height, width = (side * factor + 2 * reach for side in maps.shape[1:])
    written = np.zeros(len(maps) * height * width, maps.dtype)
    places = (k * height + y + reach) * width + x + reach
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
