"""Cross-entropy of label maps, plain and with hard example mining, as in the official segmentation code.

Shapes: B images, C classes, H W the grid of the labels. Neither loss waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrtoolkit.errors import OptionError
from hrtoolkit.ranges import CountFrom0, Share
from hrtoolkit.registry import LOSSES
from hrtoolkit.schemes import IGNORED


@LOSSES.register_module()
class CrossEntropy(nn.Module):
    """Mean cross-entropy; 0 where every pixel is ignored.

    Args:
        class_weights: one a class; the mean is then a weighted one. None weighs all alike.
        average: over the "valid" pixels, or over "all", ignored ones too: how the official code averages the auxiliary
            output beside `OhemCrossEntropy` (class weights are then left out of the denominator).
    """

    class_weights: Tensor | None

    def __init__(
        self, class_weights: Sequence[float] | Tensor | None = None, average: Literal["valid", "all"] = "valid"
    ):
        super().__init__()
        if average not in ("valid", "all"):
            raise OptionError(f"CrossEntropy: average must be 'valid' or 'all', got {average!r}")
        self.average = average
        self.register_buffer("class_weights", _weights(class_weights), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compare logits [B, C, H, W] with class indices [B, H, W], integers of any kind."""
        labels = labels.long()
        total = F.cross_entropy(
            logits.float(), labels, weight=self.class_weights, ignore_index=IGNORED, reduction="sum"
        )
        return total / self.count(labels).clamp(min=torch.finfo(total.dtype).tiny)

    def count(self, labels: Tensor) -> Tensor:
        """What the sum over class indices [B, H, W] is divided by, a scalar."""
        valid = (labels != IGNORED) if self.average == "valid" else torch.ones_like(labels, dtype=torch.bool)
        if self.class_weights is None or self.average == "all":
            return valid.sum().to(torch.float32)
        return (self.class_weights[labels.long().where(valid, 0)] * valid).sum()


@LOSSES.register_module()
class OhemCrossEntropy(nn.Module):
    """Mean cross-entropy of the hard pixels, those whose class gets little probability (arXiv:1604.03540).

    Kept are pixels with a probability below max(t, threshold), where t is that of the pixel number `min_kept` in
    ascending order, over the whole batch. Where none is left the loss is 0 (the official code gives NaN or fails).

    Args:
        threshold: pixels of the batch with less probability are kept, however many.
        min_kept: at least about so many pixels of the batch.
        class_weights: one a class; weighs the pixels' losses, but not the denominator.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        threshold: Share = 0.9,
        min_kept: CountFrom0 = 131072,
        class_weights: Sequence[float] | Tensor | None = None,
    ):
        super().__init__()
        self.threshold = threshold
        self.min_kept = min_kept
        self.register_buffer("class_weights", _weights(class_weights), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compare logits [B, C, H, W] with class indices [B, H, W], integers of any kind."""
        labels, logits = labels.long(), logits.float()
        losses = F.cross_entropy(logits, labels, self.class_weights, ignore_index=IGNORED, reduction="none")
        with torch.no_grad():
            valid = labels != IGNORED
            chosen = logits.gather(1, labels.where(valid, 0)[:, None])[:, 0]  # [B, H, W]
            probability = (chosen - logits.logsumexp(1)).exp()
            # Ignored pixels sort behind all others.
            ascending = probability.where(valid, torch.inf).flatten()
            ascending = ascending.topk(min(self.min_kept + 1, ascending.numel()), largest=False).values
            last = (valid.sum() - 1).clamp(0, len(ascending) - 1)
            limit = ascending.gather(0, last[None]).clamp(min=self.threshold)
            kept = valid & (probability < limit)
        return (losses * kept).sum() / kept.sum().clamp(min=1)


def _weights(values: Sequence[float] | Tensor | None) -> Tensor | None:
    return None if values is None else torch.as_tensor(values, dtype=torch.float32).clone()
