"""What HigherHRNet learns: heatmaps, and tags that are alike within a person and differ between people.

Newell et al., "Associative Embedding", NeurIPS 2017, arXiv:1611.05424.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def find_cells(points: Tensor, mirrored: Tensor, stride: int, flip: Literal["aligned", "original"]) -> Tensor:
    """The cells of a map that points belong to: cell i holds the input pixels from stride * i on.

    Args:
        points: [B, P, K, 2], (x, y) in input pixels.
        mirrored: bool [B], whether the input is mirrored.
        stride: of the map, in input pixels.
        flip: "aligned" gives a point of a mirrored input the mirror image of its cell. "original" gives it the cell
            before, as the official code does, which also takes points up to a cell left of or above the map for inside.

    Returns:
        [B, P, K, 2] int64 (x, y), of any sign.
    """
    x, y = points.unbind(-1)
    mirrored = mirrored[:, None, None]
    if flip == "original":
        cells = torch.stack([torch.where(mirrored, (x + 1) / stride - 1, x / stride), y / stride], dim=-1).trunc()
    else:
        x = torch.where(mirrored, ((x + 1) / stride).ceil() - 1, (x / stride).floor())
        cells = torch.stack([x, (y / stride).floor()], dim=-1)
    return cells.long()


def paint_heatmaps(cells: Tensor, there: Tensor, map_hw: tuple[int, int], sigma: float) -> Tensor:
    """Heatmaps [B, K, h, w] with a gaussian around each joint, 1 at its cell; the highest counts.

    Args:
        cells: [B, P, K, 2] int64 (x, y).
        there: bool [B, P, K], which joints are painted.
        map_hw: rows and columns.
        sigma: deviation in cells; a gaussian ends after 3 of them and a cell.
    """
    batch, _, joints, _ = cells.shape
    height, width = map_hw
    around = torch.arange(-int(3 * sigma + 1), int(3 * sigma + 1) + 1, device=cells.device)
    window = torch.exp(-(around[:, None] ** 2 + around**2) / (2 * sigma**2))
    x, y = (cells[..., axis, None] + around for axis in (0, 1))  # [B, P, K, n]
    x_inside, y_inside = (x >= 0) & (x < width), (y >= 0) & (y < height)
    painted = there[..., None, None] & y_inside[..., None] & x_inside[..., None, :]
    maps = torch.arange(batch * joints, device=cells.device).view(batch, 1, joints, 1)
    rows = maps * height + y.clamp(0, height - 1)
    places = rows[..., None] * width + x.clamp(0, width - 1)[..., None, :]
    values = torch.where(painted, window, 0)
    drawn = values.new_zeros(batch * joints * height * width)
    drawn.scatter_reduce_(0, places.flatten(), values.flatten(), "amax")
    return drawn.view(batch, joints, height, width)


def heatmap_error(heatmaps: Tensor, drawn: Tensor, use: Tensor) -> Tensor:
    """The mean squared error of maps [B, K, h, w]; cells where `use` [B, h, w] is 0 count as right."""
    return (use[:, None] * (heatmaps - drawn) ** 2).mean()


def read_tags(maps: Tensor, cells: Tensor, there: Tensor) -> Tensor:
    """The tags [B, P, K] of maps [B, K, h, w] at cells [B, P, K, 2]; anything where a joint is not `there`."""
    width = maps.shape[-1]
    places = torch.where(there, cells[..., 1] * width + cells[..., 0], 0)
    return maps.flatten(2).gather(2, places.transpose(1, 2)).transpose(1, 2)


def pull_and_push(
    tags: Tensor, there: Tensor, kind: Literal["exponential", "max"] = "exponential"
) -> tuple[Tensor, Tensor]:
    """How far the tags of a person lie apart, and how near the people of an image are; both [B], 0 at best.

    Args:
        tags: [B, P, K].
        there: bool [B, P, K]; people without any joint do not count.
        kind: of what pushes two people whose mean tags differ by d: exp(-d^2), or max(1 - |d|, 0).
    """
    count = there.sum(-1)
    person = count > 0
    people = person.sum(-1)
    means = torch.where(there, tags, 0).sum(-1) / count.clamp(min=1)  # [B, P]
    spread = torch.where(there, (tags - means[..., None]) ** 2, 0).sum(-1) / count.clamp(min=1)
    pull = spread.sum(-1) / people.clamp(min=1)
    apart = means[:, :, None] - means[:, None, :]
    near = torch.exp(-(apart**2)) if kind == "exponential" else (1 - apart.abs()).clamp(min=0)
    pairs = person[:, :, None] & person[:, None, :]
    total = torch.where(pairs, near, 0).sum((1, 2)) - people  # everybody is near to himself
    return pull, 0.5 * total / (people * (people - 1)).clamp(min=1)
