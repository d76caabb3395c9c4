"""From the network's input to the image: masks pasted and packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from hrtoolkit.masks import encode_masks


def paste_masks(
    masks: Tensor,
    boxes: Tensor,
    size_hw: tuple[int, int],
    kind: Literal["exact", "soft", "whole"] = "exact",
) -> list[dict]:
    """Resample masks over their boxes to the image, cut them at 0.5 and pack them in COCO's run lengths.

    Args:
        masks: [N, M, M], probabilities, on the CPU.
        boxes: [N, 4] (x1, y1, x2, y2) in pixels of the image, on the CPU; where the last pixel is counted in, it ends
            them.
        size_hw: of the image.
        kind: over the "exact" box, as mmdetection; "soft", with a border and over whole pixels around the box, as
            torchvision; or over its "whole" pixels alone, as the authors.
    """
    if kind == "soft":
        pasted = paste_masks_in_image(masks[:, None], boxes, size_hw)[:, 0] >= 0.5
        return encode_masks(pasted.numpy())
    paste = _paste_exactly if kind == "exact" else _paste_whole
    packed = []
    for mask, box in zip(masks, boxes.tolist(), strict=True):
        packed += encode_masks(paste(mask, box, size_hw)[None])
    return packed


def _paste_exactly(mask: Tensor, box: Sequence[float], size_hw: tuple[int, int]) -> np.ndarray:
    x1, y1, x2, y2 = box
    height, width = size_hw
    # No pixel farther than one from the box can reach 0.5.
    left, top = max(int(x1) - 1, 0), max(int(y1) - 1, 0)
    right, bottom = min(int(x2) + 2, width), min(int(y2) + 2, height)
    canvas = np.zeros(size_hw, bool)
    if left < right and top < bottom and x2 > x1 and y2 > y1:
        x = (torch.arange(left, right) + 0.5 - x1) / (x2 - x1) * 2 - 1
        y = (torch.arange(top, bottom) + 0.5 - y1) / (y2 - y1) * 2 - 1
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # [rows, columns, 2]
        sampled = F.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0]
        canvas[top:bottom, left:right] = (sampled >= 0.5).numpy()
    return canvas


def _paste_whole(mask: Tensor, box: Sequence[float], size_hw: tuple[int, int]) -> np.ndarray:
    left, top, right, bottom = (max(int(side), 0) for side in box)  # of pixels that are all inside
    resized = cv2.resize(mask.numpy(), (max(right - left + 1, 1), max(bottom - top + 1, 1)))
    canvas = np.zeros(size_hw, bool)
    area = canvas[top : top + len(resized), left : left + resized.shape[1]]
    area[:] = resized[: area.shape[0], : area.shape[1]] > 0.5
    return canvas
