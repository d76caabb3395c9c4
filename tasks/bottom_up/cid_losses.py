"""How CID's heatmaps and the features of its people are judged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.05


def focal_loss(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Focal loss of heatmaps whose peaks are exactly 1 (CornerNet, arXiv:1808.01244, Eq. 1), a scalar.

    Of logits, so that what is surely wrong has a gradient too; the official code has none beyond 9.21.

    Args:
        logits: [N, K, H, W] float32.
        targets: [N, K, H, W], from 0 to 1.
        mask: bool, broadcast to these: what counts.
    """
    log_not = F.logsigmoid(-logits)
    heat = logits.sigmoid()
    peak = targets == 1
    hit = (log_not + logits) * (1 - heat) ** 2
    calm = log_not * heat**2 * (1 - targets) ** 4
    total = (torch.where(peak, hit, calm) * mask).sum()
    return -total / (peak & mask).sum().clamp(min=1)


def contrastive_loss(features: Tensor, images: Tensor, learnt: Tensor) -> Tensor:
    """How alike the features of different people of an image are, a scalar; 0 where each is alone.

    Args:
        features: [P, F] float32, of the people of all images.
        images: [P], the image of each.
        learnt: bool [P]: whoever counts.
    """
    unit = F.normalize(features, dim=1)
    alike = unit @ unit.T / TEMPERATURE
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    others = (images[:, None] == images) & learnt
    # Everybody has a row, so that no row is empty; those who do not count are left out of the sum.
    rows = alike.masked_fill(~(others | itself), float("-inf"))
    each = rows.logsumexp(dim=1) - alike.diagonal()
    return (each * learnt).sum() / learnt.sum().clamp(min=1)
