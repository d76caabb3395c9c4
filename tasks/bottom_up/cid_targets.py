"""What CID is trained with: of each image a few numbers a person, from which heatmaps are painted on the device."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from hrtoolkit.frames import Frame, Size
from hrtoolkit.parts import Listed
from hrtoolkit.records import Objects
from hrtoolkit.tasks.bottom_up.peaks import MOST_PEOPLE
from hrtoolkit.tasks.bottom_up.targets import fit_use, people_targets

ROUNDING = 1e-3  # cells: a side of 10.0001 is one of 10


class CenterTargets(NamedTuple):
    """Makes targets of a record; it runs in loader processes.

    Args:
        stride: of the maps.
        smallest: square input pixels of a box below which its person has no centre.
        flip: see `CIDHead`.
    """

    stride: int
    smallest: float
    flip: Literal["aligned", "original"]

    def __call__(self, record: Objects, frame: Frame) -> dict[str, ndarray]:
        """Cells of the keypoints and centres of N people, of which the first M are learnt one by one.

        Returns:
            `cells` int64 [N, K + 1, 2] (x, y), the centre last; `labelled` bool [N, K + 1]; `radii` float32 [N] of the
            gaussians; `centers` int64 [M, 2], cells of the centres that lie in the map, those of small people first;
            `use` bool [h, w], where the maps are compared.
        """
        people = people_targets(record, frame)
        use = people["use"][:: self.stride, :: self.stride] > 0
        corners, points = people["corners"].astype(np.float64), people["points"].astype(np.float64)
        areas = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        corners, points = corners / self.stride, points / self.stride
        if people["mirrored"]:
            corners = corners[:, [1, 0, 3, 2]]
            if self.flip == "original":
                corners[..., 0] -= 1 - 1 / self.stride
                points[..., 0] -= 1 - 1 / self.stride
        labelled = people["visible"] > 0
        counts = labelled.sum(axis=1)
        centers = (points * labelled[..., None]).sum(axis=1) / np.maximum(counts, 1)[:, None]
        has_center = (counts > 0) & (areas >= self.smallest)
        cells = np.floor(np.concatenate([points, centers[:, None]], axis=1)).astype(np.int64)
        size_wh = use.shape[::-1]
        learnt = has_center & ((cells[:, -1] >= 0) & (cells[:, -1] < size_wh)).all(axis=1)
        order = np.lexsort((areas, ~learnt))
        return {
            "cells": cells[order],
            "labelled": np.concatenate([labelled, has_center[:, None]], axis=1)[order],
            "radii": gaussian_radii(corners, size_wh)[order],
            "centers": cells[order[: learnt.sum()], -1],
            "use": use,
        }


def _cross(a: ndarray, b: ndarray) -> ndarray:
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def gaussian_radii(corners: ndarray, size_wh: Size) -> ndarray:
    """How far the gaussians of people reach, from the boxes around them, cut at the map's edges.

    CornerNet's rule for an overlap of 0.7 as the official code has it: without a division, so that the smallest of the
    three radii is always the same one. Cutting corner by corner, it takes a turned box at an edge for another one.

    Args:
        corners: [N, 4, 2] (x, y) in cells: top left, top right, bottom left, bottom right.
        size_wh: columns and rows of the map.

    Returns:
        [N] float32, whole numbers of cells.
    """
    corners = np.clip(corners, 0, np.array(size_wh) - 1)
    height, width = (np.linalg.norm(corners[:, i] - corners[:, 0], axis=-1) for i in (2, 1))
    height, width = np.ceil(height - ROUNDING), np.ceil(width - ROUNDING)
    total = 1.4 * (height + width)
    return np.floor((np.sqrt(total**2 + 3.36 * height * width) - total) / 2).astype(np.float32)


def paint_gaussians(cells: Tensor, there: Tensor, radii: Tensor, map_hw: Size) -> Tensor:
    """Draw a gaussian around each cell in the map: 1 there, 0 beyond the radius, which is three deviations.

    Args:
        cells: int64 [N, K, 2] (x, y).
        there: bool [N, K], which are drawn.
        radii: [N], whole numbers of cells.
        map_hw: rows and columns.

    Returns:
        [N, K, H, W] float32.
    """
    sigmas = ((2 * radii + 1) / 6)[:, None, None]

    def profile(axis: int, length: int) -> Tensor:
        distances = cells[..., axis, None] - torch.arange(length, device=cells.device)
        return torch.exp(-(distances**2) / (2 * sigmas**2)) * (distances.abs() <= radii[:, None, None])

    height, width = map_hw
    # Outside of the map nothing is drawn, not even what of a gaussian reaches into it.
    inside = there & (cells >= 0).all(-1) & (cells[..., 0] < width) & (cells[..., 1] < height)
    rows = profile(1, height) * inside[..., None]
    return rows[..., :, None] * profile(0, width)[..., None, :]


class Painted(NamedTuple):
    """What the maps of B images are compared with; P people in all of them are learnt one by one."""

    everybody: Tensor  # [B, K + 1, H, W] heatmaps of keypoints and centres
    use: Tensor  # bool [B, 1, H, W]: where they count
    cells: list[Tensor]  # of each image int64 [M, 2] (x, y), where its people's features are taken
    people: Tensor  # [P, K, H, W] heatmaps of each one's keypoints
    labelled: Tensor  # bool [P, K]: which of them count
    learnt: Tensor  # bool [P]: False for whoever is there in vain


def paint_targets(targets: Listed, map_hw: Size, jitter: bool = True, most: int = MOST_PEOPLE) -> Painted:
    """Paint what `CenterTargets` made of each image.

    Random numbers are torch's, which the training loop seeds by the number of the step.

    Args:
        targets: of B images.
        map_hw: rows and columns of the maps.
        jitter: move each centre by up to a cell.
        most: people an image that are learnt one by one; of more, some are drawn by lot.
    """
    device = targets[0]["cells"].device
    images = []
    for target in targets:
        painted = paint_gaussians(target["cells"], target["labelled"], target["radii"], map_hw)
        cells = target["centers"]
        rows: slice | Tensor = slice(len(cells))
        if len(cells) > most:
            rows = torch.randperm(len(cells))[:most].sort().values.to(device, non_blocking=True)
            cells = cells[rows]
        if jitter:
            cells = move_cells(cells, torch.randint(-1, 2, cells.shape, device=device), map_hw)
        images.append(
            Painted(
                everybody=painted.amax(0) if len(painted) else painted.new_zeros(painted.shape[1:]),
                use=fit_use(target["use"], map_hw)[None],
                cells=[cells],
                people=painted[rows, :-1],
                labelled=target["labelled"][rows, :-1],
                learnt=find_first(cells),
            )
        )
    if not any(len(one.people) for one in images):
        images[0] = _add_nobody(images[0])
    return Painted(
        everybody=torch.stack([one.everybody for one in images]),
        use=torch.stack([one.use for one in images]),
        cells=[one.cells[0] for one in images],
        people=torch.cat([one.people for one in images]),
        labelled=torch.cat([one.labelled for one in images]),
        learnt=torch.cat([one.learnt for one in images]),
    )


def _add_nobody(image: Painted) -> Painted:
    """Let an image have one person who does not count: the losses of a batch without people reach all weights."""
    keypoints = len(image.everybody) - 1
    return image._replace(
        cells=[image.cells[0].new_zeros(1, 2)],
        people=image.everybody[None, :-1],
        labelled=image.use.new_zeros(1, keypoints),
        learnt=image.use.new_zeros(1),
    )


def move_cells(cells: Tensor, steps: Tensor, map_hw: Size) -> Tensor:
    """Cells [M, 2] (x, y) moved by steps [M, 2], but for those that would leave the map."""
    moved = cells + steps
    height, width = map_hw
    inside = (moved >= 0).all(-1) & (moved[:, 0] < width) & (moved[:, 1] < height)
    return torch.where(inside[:, None], moved, cells)


def find_first(cells: Tensor) -> Tensor:
    """Which of cells [M, 2] no earlier one equals, bool [M]: one place teaches one person."""
    same = (cells[:, None] == cells[None]).all(-1)
    return ~same.tril(-1).any(1)
