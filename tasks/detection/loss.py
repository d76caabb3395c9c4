"""How far boxes and masks are from the annotated ones; classes are compared where they are predicted."""

from __future__ import annotations

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


def mask_targets(masks: Tensor, boxes: Tensor, matched: Tensor, size: int, hard: bool) -> Tensor:
    """Resample the mask of each box's object to a grid over the box.

    Args:
        masks: uint8 [G, H, W], of the objects of one image.
        boxes: [N, 4] (x1, y1, x2, y2) in pixels of the masks.
        matched: [N], which object each box belongs to.
        size: rows and columns of the grid.
        hard: with half-cell shift, all samples and rounding to 0 or 1, as mmdetection; else torchvision's soft targets.

    Returns:
        float [N, size, size].
    """
    rois = torch.cat([matched[:, None].to(boxes), boxes], dim=1)
    sampled = roi_align(masks[:, None].to(boxes), rois, (size, size), aligned=hard, sampling_ratio=0 if hard else -1)
    return (sampled[:, 0] >= 0.5).to(boxes) if hard else sampled[:, 0]
