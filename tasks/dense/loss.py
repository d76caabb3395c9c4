"""What predicted numbers are compared by: absolute errors, of logarithms too, and the cosine of unit vectors.

Shapes: B images, C values, H W the grid of the truth. Pixels with NaN in the truth do not count. No loss waits for the
device.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrtoolkit.registry import LOSSES


class MaskedLoss(nn.Module):
    """The mean over the pixels that something is known of; 0 where that is none.

    A subclass gives `errors(values, truth)`, the error of each pixel.
    """

    def errors(self, values: Tensor, truth: Tensor) -> Tensor:
        """Errors [B, H, W] of values [B, C, H, W], which are finite, as the truth is."""
        raise NotImplementedError

    def forward(self, values: Tensor, truth: Tensor) -> Tensor:
        """Compare values with truth, both [B, C, H, W], NaN where nothing is known."""
        known = truth.isfinite().all(dim=1)
        # What is masked must be finite before it is compared: NaN times 0 would still be NaN in the gradients.
        errors = self.errors(values, torch.where(known[:, None], truth, 1))
        return torch.where(known, errors, 0).sum() / self.count(truth).clamp(min=1)

    def count(self, truth: Tensor) -> Tensor:
        """What the sum over the pixels of truth [B, C, H, W] is divided by, a scalar."""
        return truth.isfinite().all(dim=1).sum().to(torch.float32)


@LOSSES.register_module()
class AbsoluteError(MaskedLoss):
    """Mean absolute difference, L1, of values or of their logarithms; of several values of a pixel the mean.

    Args:
        logarithm: of both: an error then is a factor, whatever is near or far; for positive values.
    """

    def __init__(self, logarithm: bool = False):
        super().__init__()
        self.logarithm = logarithm

    def errors(self, values: Tensor, truth: Tensor) -> Tensor:
        if self.logarithm:
            least = torch.finfo(torch.float32).tiny
            values, truth = values.clamp(min=least).log(), truth.clamp(min=least).log()
        return (values - truth).abs().mean(dim=1)


@LOSSES.register_module()
class CosineError(MaskedLoss):
    """1 - cosine of the angle between two vectors, of any length."""

    def errors(self, values: Tensor, truth: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(values, truth, dim=1)
