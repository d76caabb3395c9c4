"""What DEKR learns: heatmaps of joints and centres, and offsets around centres, painted where the network is."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hrtoolkit.parts import Listed

RADIUS = 4  # cells around a centre that learn offsets
BACKGROUND = 0.1  # weight of a heatmap's cells that are near no joint
BETA = 1 / 9  # cells: up to here the loss of an offset is a parabola


class People(NamedTuple):
    """The people of B inputs, of each as many as the fullest one has, in cells of the maps.

    What is not there is neither `labelled` nor `found`.
    """

    joints: Tensor  # [B, N, K, 2] (x, y)
    labelled: Tensor  # [B, N, K] bool
    centers: Tensor  # [B, N, 2], the mean of the labelled joints
    found: Tensor  # [B, N] bool: their centre is learnt
    diagonals: Tensor  # [B, N], of the box around the labelled joints


def gather_people(targets: Listed, stride: int, smallest_area: float, flip_shift: float = 0.0) -> People:
    """Put the people of a batch into tensors.

    Args:
        targets: see `people_targets`.
        stride: of the maps.
        smallest_area: square pixels of the image; smaller people have no centre.
        flip_shift: pixels that the joints of mirrored inputs lie too far to the left.
    """
    joints = pad_sequence([one["points"] for one in targets], batch_first=True)
    labelled = pad_sequence([one["visible"] for one in targets], batch_first=True) > 0
    areas = pad_sequence([one["areas"] for one in targets], batch_first=True)
    if flip_shift:
        mirrored = torch.stack([one["mirrored"] for one in targets]).view(-1, 1, 1)
        joints = torch.stack([joints[..., 0] - flip_shift * mirrored, joints[..., 1]], dim=-1)
    joints = joints / stride
    there = labelled[..., None]
    centers = (joints * there).sum(2) / there.sum(2).clamp(min=1)
    spread = joints.where(there, -math.inf).amax(2) - joints.where(there, math.inf).amin(2)
    found = labelled.any(2)
    diagonals = spread.where(found[..., None], 0).norm(dim=-1)
    return People(joints, labelled, centers, found & (areas >= smallest_area), diagonals)


def is_inside(cells: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Which places [..., 2] (x, y) lie on a map; those between its last cell and the next one do."""
    (height, width), (x, y) = size_hw, cells.unbind(-1)
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)


def paint_peaks(cells: Tensor, there: Tensor, sigma: float, size_hw: tuple[int, int]) -> Tensor:
    """Gaussians at exact places, the highest of each channel where they overlap; 0 beyond 3 sigma and a cell.

    Args:
        cells: [B, N, C, 2] (x, y).
        there: [B, N, C] bool, which are painted.
        sigma: in cells.
        size_hw: rows and columns of the maps.

    Returns:
        [B, C, H, W]; above 0 in the windows that were painted, and only there.
    """
    height, width = size_hw
    there = there & is_inside(cells, size_hw)
    rows, down = _paint_axis(cells[..., 1], there, sigma, height)
    columns, across = _paint_axis(cells[..., 0], there, sigma, width)
    places = rows[..., :, None] * width + columns[..., None, :]  # [B, N, C, n, n]
    patches = down[..., :, None] * across[..., None, :]
    places, patches = (one.transpose(1, 2).flatten(2) for one in (places, patches))  # [B, C, N * n * n]
    painted = patches.new_zeros(*patches.shape[:2], height * width)
    painted.scatter_reduce_(2, places, patches, "amax")
    return painted.unflatten(2, size_hw)


def _paint_axis(cells: Tensor, there: Tensor, sigma: float, length: int) -> tuple[Tensor, Tensor]:
    """The indices [..., n] of a window around places [...] on an axis, within 0 to `length`, and gaussians there."""
    first, last = (cells - 3 * sigma - 1).floor(), (cells + 3 * sigma + 2).ceil() - 1
    index = first[..., None] + torch.arange(math.ceil(6 * sigma + 4), device=cells.device)
    seen = (index <= last[..., None]) & (index >= 0) & (index < length) & there[..., None]
    heights = torch.exp(-(index - cells[..., None]).square() / (2 * sigma**2))
    return index.clamp(0, length - 1).long(), heights * seen


def weigh_cells(painted: Tensor, use: Tensor) -> Tensor:
    """Weights [B, C, H, W] of the cells of heatmaps: those near no joint count little.

    Args:
        painted: see `paint_peaks`.
        use: [B, H, W], 0 where nothing is compared.
    """
    return torch.where(painted > 0, 1.0, BACKGROUND) * use[:, None]


def heatmap_loss(heatmaps: Tensor, painted: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean squared error of heatmaps [B, C, H, W]."""
    return (weights * (heatmaps - painted).square()).mean()


def find_offsets(people: People, sizes: Tensor, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """What the cells around centres learn: where a joint of that person lies. The smallest person has a cell.

    Args:
        people: see there.
        sizes: [B, N]; of equal sizes the later person has it. A person's cells weigh 1 / size.
        size_hw: rows and columns of the maps.

    Returns:
        for the S cells of each person: their places [B, N, S], row * W + column; the offsets [B, N, K, S, 2] (x, y)
        from the joints to them; and the weights [B, N, K, S], 0 where nothing is learnt.
    """
    height, width = size_hw
    steps = torch.arange(2 * RADIUS, device=sizes.device)
    steps = torch.stack([steps.repeat(len(steps)), steps.repeat_interleave(len(steps))], dim=-1)  # [S, 2]
    cells = (people.centers[:, :, None] - RADIUS).floor() + steps  # [B, N, S, 2]
    seen = is_inside(cells, size_hw) & (people.found & is_inside(people.centers, size_hw))[..., None]
    places = (cells[..., 1].clamp(0, height - 1) * width + cells[..., 0].clamp(0, width - 1)).long()
    learnt = seen[:, :, None] & (people.labelled & is_inside(people.joints, size_hw))[..., None]  # [B, N, K, S]
    # Largest first: who comes later, paints over.
    ranks = sizes.argsort(dim=1, descending=True, stable=True).argsort(dim=1) + 1
    batch, number, joints, count = learnt.shape
    ranks = ranks.view(batch, number, 1, 1) * learnt
    everywhere = places[:, :, None].expand_as(learnt).transpose(1, 2).reshape(batch, joints, number * count)
    owners = ranks.new_zeros(batch, joints, height * width)
    owners.scatter_reduce_(2, everywhere, ranks.transpose(1, 2).reshape(everywhere.shape), "amax")
    owner = owners.gather(2, everywhere).view(batch, joints, number, count).transpose(1, 2)
    weights = (learnt & (owner == ranks)) / sizes[:, :, None, None]
    return places, cells[:, :, None] - people.joints[:, :, :, None], weights


def offset_loss(offsets: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    """Weighted smooth L1 of offsets over the number of those that are learnt.

    Args:
        offsets: any shape.
        true: like them.
        weights: like them; 0 where nothing is learnt.
    """
    errors = F.smooth_l1_loss(offsets, true, reduction="none", beta=BETA)
    return (errors * weights).sum() / (weights > 0).sum().clamp(min=1)
