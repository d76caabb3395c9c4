"""How far boxes and masks are from the annotated ones; classes are compared where they are predicted."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align


def box_loss(deltas: Tensor, targets: Tensor, beta: float, count: int) -> Tensor:
    """Sum of smooth L1 over all numbers (Girshick, ICCV 2015), divided by the number of samples, positive or not.

    Args:
        deltas: [N, 4], of the positive samples.
        targets: [N, 4].
        beta: difference from which the loss is linear; 0 makes it L1.
        count: of all samples.
    """
    return F.smooth_l1_loss(deltas, targets, beta=beta, reduction="sum") / max(count, 1)


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Binary cross entropy of the mask of the annotated class alone (He et al., ICCV 2017, arXiv:1703.06870).

    Args:
        logits: [N, C, M, M].
        labels: [N], which channel counts.
        targets: [N, M, M], 0 to 1.
    """
    if not len(targets):
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits[torch.arange(len(labels), device=labels.device), labels], targets)


def mask_targets(
    masks: Tensor, boxes: Tensor, matched: Tensor, size: int, kind: Literal["exact", "soft", "whole"]
) -> Tensor:
    """Resample the mask of each box's object to a grid over the box.

    Args:
        masks: uint8 [G, H, W], of the objects of one image.
        boxes: [N, 4] (x1, y1, x2, y2) in pixels of the masks.
        matched: [N], which object each box belongs to.
        size: rows and columns of the grid.
        kind: "exact" averages over cells, shifted by half a pixel, and rounds to 0 or 1 (mmdetection); "soft" does
            neither shift nor round (torchvision); "whole" cuts whole pixels out of the mask, resizes them as OpenCV
            does numbers of full precision, and rounds (the authors, who resize bytes).

    Returns:
        float [N, size, size].
    """
    if kind == "whole":
        return _cut_masks(masks, boxes, matched, size)
    exact = kind == "exact"
    rois = torch.cat([matched[:, None].to(boxes), boxes], dim=1)
    sampled = roi_align(masks[:, None].to(boxes), rois, (size, size), aligned=exact, sampling_ratio=0 if exact else -1)
    return (sampled[:, 0] >= 0.5).to(boxes) if exact else sampled[:, 0]


def _cut_masks(masks: Tensor, boxes: Tensor, matched: Tensor, size: int) -> Tensor:
    first = boxes[:, :2].long()
    last = torch.maximum((boxes[:, 2:] - 1).long(), first)
    steps = (torch.arange(size, device=boxes.device) + 0.5) / size
    # Bilinear, and nothing outside of the cut is seen: [N, size, 2], x and y of columns and rows.
    points = first[:, None] + (steps[:, None] * (last - first + 1)[:, None] - 0.5).clamp(min=0)
    points = torch.minimum(points, last[:, None])
    low = points.long()
    high = torch.minimum(low + 1, last[:, None])
    share = points - low
    (x0, y0), (x1, y1), (u, v) = (one.unbind(2) for one in (low, high, share))
    chosen = masks[matched].to(boxes)  # [N, H, W]
    of = torch.arange(len(boxes), device=boxes.device)[:, None, None]

    def row(y: Tensor) -> Tensor:
        at_x0, at_x1 = (chosen[of, y[:, :, None], x[:, None, :]] for x in (x0, x1))
        return at_x0 + (at_x1 - at_x0) * u[:, None, :]

    above, below = row(y0), row(y1)
    return (above + (below - above) * v[:, :, None] >= 0.5).to(boxes)
