"""How far predicted heatmaps are from the drawn ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hrtoolkit.ranges import Count
from hrtoolkit.registry import LOSSES


@LOSSES.register_module()
class KeypointMSE(nn.Module):
    """Half the mean squared error, weighted by keypoint (Xiao et al., ECCV 2018; arXiv:1902.09212, Sec. 3).

    Args:
        hardest: average only this many keypoints of the largest error in each person (online hard keypoint mining,
            Chen et al., CVPR 2018, arXiv:1711.07319); None averages all.
    """

    def __init__(self, hardest: Count | None = None):
        super().__init__()
        self.hardest = hardest

    def forward(self, heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Compare heatmaps and targets [B, K, H, W] under weights [B, K].

        As in the original, a weight enters squared, and keypoints of weight 0 stay in the denominator.
        """
        error = ((heatmaps.float() - targets) * weights[..., None, None]).square().mean((-2, -1)) / 2  # [B, K]
        if self.hardest is not None:
            error = error.topk(self.hardest, dim=1).values
        return error.mean()


def heatmap_accuracy(
    predicted: Tensor, true: Tensor, weights: Tensor, heatmap_hw: tuple[int, int], threshold: float = 0.5
) -> Tensor:
    """Share of peaks within `threshold` tenths of the map's width and height of the true ones; a number for the log.

    Args:
        predicted: [B, K, 2], cells (x, y).
        true: [B, K, 2], cells (x, y).
        weights: [B, K], 0 for keypoints that do not count.
        heatmap_hw: rows and columns of the map.
        threshold: in units of a tenth of the map.

    Returns:
        mean over the keypoints that count anywhere, a scalar on the device of the arguments; 0 where none counts.
    """
    tenth = torch.tensor([heatmap_hw[1] / 10, heatmap_hw[0] / 10]).to(predicted.device, non_blocking=True)
    correct = ((predicted - true) / tenth).norm(dim=-1) < threshold  # [B, K]
    counts = (weights > 0).sum(0)  # [K]
    share = ((weights > 0) & correct).sum(0) / counts.clamp(min=1)
    return share.sum() / (counts > 0).sum().clamp(min=1)
