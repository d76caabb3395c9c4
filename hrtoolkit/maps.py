"""Maps of a network's inputs at full size, and at the pixels of their images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor

from hrtoolkit.frames import Size
from hrtoolkit.runtime.geometry import transform_points


def resize_maps(maps: Tensor, size_hw: Size, align_corners: bool) -> Tensor:
    """Resize maps [C, H, W] bilinearly, to [C, h, w]."""
    if tuple(maps.shape[-2:]) == tuple(size_hw):
        return maps
    return F.interpolate(maps[None], size=size_hw, mode="bilinear", align_corners=align_corners)[0]


def covered_hw(cells_hw: Sequence[int], size_hw: Size, stride: int) -> Size:
    """Height and width that a map covers: those of its input, or more where a batch was padded.

    Args:
        cells_hw: height and width of the map.
        size_hw: of the input.
        stride: of the map.
    """
    rows, columns = (
        side if cells == -(-side // stride) else cells * stride for side, cells in zip(size_hw, cells_hw, strict=True)
    )
    return rows, columns


def maps_at_image(
    maps: Tensor, content_hw: Size, image_hw: Size, align_corners: bool, grid: Tensor | None = None
) -> Tensor:
    """Maps [C, h, w] of an input, a cell a pixel, at the pixels of its image, [C, H, W].

    Args:
        maps: as large as the input.
        content_hw: height and width of the part of the input that the image fills; the rest is padding.
        image_hw: height and width of the image.
        align_corners: of the bilinear resizing.
        grid: of `grid_of_image`, where the content is not the resized image but what a matrix shows.
    """
    if grid is None:
        return resize_maps(maps[:, : content_hw[0], : content_hw[1]], image_hw, align_corners)
    return F.grid_sample(maps[None], grid, padding_mode="border", align_corners=False)[0]


def grid_of_image(matrix: ndarray, input_hw: Size, image_hw: Size) -> Tensor:
    """Where each pixel of an image lies in its input, [1, H, W, 2] as `F.grid_sample` counts: -1 to 1, edge to edge.

    Args:
        matrix: [2, 3], image to input pixels.
        input_hw: height and width of the input.
        image_hw: of the image.
    """
    rows, columns = np.indices(image_hw)
    places = transform_points(np.stack([columns, rows], axis=-1), matrix)
    return torch.from_numpy((2 * places + 1) / input_hw[::-1] - 1).float()[None]


def stack_padded(maps: Sequence[Tensor], size_hw: Sequence[int], value: float) -> Tensor:
    """Maps [..., h, w] of several sizes as one tensor [B, ..., H, W], padded at the right and the bottom.

    Args:
        maps: one an input.
        size_hw: height and width of all.
        value: of what is padded.
    """
    height, width = size_hw
    return torch.stack([F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]), value=value) for x in maps])
