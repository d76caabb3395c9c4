"""Peaks of maps: the centres of people, as CID and DEKR find them, and what stands out of heatmaps."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrtoolkit.runtime.candidates import REACH
from hrtoolkit.runtime.enlarged import edge_of

MOST_PEOPLE = 30  # of an image
AROUND = np.ones((2 * REACH + 1,) * 2, np.uint8)  # cells in which a candidate for a joint is the highest


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


def pool_candidates(heatmaps: Tensor, tags: Tensor, factor: int, sizes_hw: Tensor | None) -> dict[str, Tensor]:
    """Candidates for joints, as the runtime's `find_candidates` has them, found on the enlarged maps as a whole.

    Args:
        heatmaps: [B, K, h, w].
        tags: [B, K, T, h', w'], of any stride.
        factor: input pixels a cell of the heatmaps.
        sizes_hw: [B, 2], of the inputs without a batch's padding; None where there is none.

    Returns:
        `cells` [B, K, 30, 2] (x, y) in input pixels, best first, their `values` [B, K, 30], 0 where there is no
        candidate any more, and `candidate_tags` [B, K, 30, T].
    """
    height, width = (side * factor for side in heatmaps.shape[-2:])
    edge = edge_of(factor)
    full = resize(heatmaps, (height, width))[..., edge : height - edge, edge : width - edge]
    peaks = keep_peaks(full)
    if sizes_hw is not None:
        peaks = clear_beyond(peaks, sizes_hw - edge)
    values, places = peaks.flatten(2).topk(min(MOST_PEOPLE, peaks[0, 0].numel()))
    cells = torch.stack([places % full.shape[-1], places // full.shape[-1]], dim=-1) + edge
    grid = (2 * cells + 1) / cells.new_tensor([width, height]) - 1
    flat = tags.flatten(0, 1)  # [BK, T, h', w']
    read = F.grid_sample(flat, grid.to(flat).flatten(0, 1)[:, None], padding_mode="border", align_corners=False)
    candidate_tags = read[:, :, 0].transpose(1, 2).unflatten(0, heatmaps.shape[:2])
    return {"cells": cells, "values": values, "candidate_tags": candidate_tags}


def resize(maps: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Maps [B, C, h, w] at another size, by bilinear interpolation."""
    height, width = size_hw
    if maps.shape[-2:] == (height, width):
        return maps
    return F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
