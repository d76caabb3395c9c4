"""Adaptive convolution: a 3x3 convolution whose nine taps are an affine image of the regular grid, pixel by pixel.

Geng et al., "Bottom-Up Human Pose Estimation via Disentangled Keypoint Regression", CVPR 2021, arXiv:2104.02300,
Sec. 3.1. Where the taps are follows from the map itself, so that the features of a joint are read where the joint is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import DeformConv2d, deform_conv2d


class AdaptiveBlock(nn.Module):
    """Adaptive convolution, normalisation, and the map itself added, of all groups of channels at once.

    The official code has a block for each joint; here the joints are groups of one, as in mmpose.

    Args:
        channels: of each group.
        groups: each has taps and weights of its own.
    """

    def __init__(self, channels: int, groups: int):
        super().__init__()
        total = channels * groups
        self.transform_matrix_conv = nn.Conv2d(total, 6 * groups, 3, padding=1, groups=groups)
        self.adapt_conv = DeformConv2d(total, total, 3, padding=1, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(total)
        self.relu = nn.ReLU(inplace=True)
        # As in the official code all nine taps read the pixel itself at first.
        nn.init.zeros_(self.transform_matrix_conv.weight)
        assert self.transform_matrix_conv.bias is not None
        nn.init.zeros_(self.transform_matrix_conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = adaptive_conv(x, self.transform_matrix_conv(x), self.adapt_conv.weight)
        return self.relu(self.bn(y) + x)


def adaptive_conv(x: Tensor, matrices: Tensor, weight: Tensor) -> Tensor:
    """Convolve with taps of each pixel's own.

    On CUDA that is torchvision's deformable convolution. Elsewhere the taps are sampled and multiplied: the same
    numbers, on a CPU in half the time and for gradients in a tenth, and in operators that exports have. Where taps are
    is never computed in less than float32: in bfloat16 the columns beyond 256 are two apart.

    Args:
        x: [B, G * C, H, W]; beyond it there is 0.
        matrices: [B, G * 6, H, W], of each group the rows of a matrix [2, 3] that makes (y, x) of a tap, in pixels from
            the one that it is of, from (y, x, 1) on the regular grid.
        weight: [G * C, C, 3, 3].

    Returns:
        [B, G * C, H, W] of the dtype of `x`.
    """
    exact = torch.promote_types(x.dtype, torch.float32)
    convolve = _deform if x.is_cuda else _sample
    return convolve(x.to(exact), find_taps(matrices.to(exact)), weight.to(exact)).to(x.dtype)


torch.fx.wrap("adaptive_conv")  # `hrtoolkit.speed.fold` follows what a head calls, and need not look inside


def find_taps(matrices: Tensor) -> Tensor:
    """Where the taps are, [B, G, 2, 9, H, W]: (y, x) in pixels from the one that they are of; see `adaptive_conv`."""
    batch, channels, height, width = matrices.shape
    matrices = matrices.reshape(batch, channels // 6, 2, 3, 1, height, width)
    rows, columns = regular_grid(matrices).view(2, 9, 1, 1)
    return matrices[:, :, :, 0] * rows + matrices[:, :, :, 1] * columns + matrices[:, :, :, 2]


def regular_grid(like: Tensor) -> Tensor:
    """(y, x) of the taps of a plain convolution, [2, 9], in the order of a kernel's weights."""
    steps = torch.arange(-1, 2, device=like.device, dtype=like.dtype)  # made there: copying would wait for the device
    return torch.stack([steps.repeat_interleave(3), steps.repeat(3)])


def _deform(x: Tensor, taps: Tensor, weight: Tensor) -> Tensor:
    # It adds the regular grid by itself, and takes (y, x) of tap after tap.
    offsets = (taps - regular_grid(taps).view(2, 9, 1, 1)).transpose(2, 3).flatten(1, 3)
    return deform_conv2d(x, offsets, weight, padding=1)


def _sample(x: Tensor, taps: Tensor, weight: Tensor) -> Tensor:
    batch, groups, _, _, height, width = taps.shape
    channels = weight.shape[1]
    rows = taps[:, :, 0] + torch.arange(height, device=x.device, dtype=x.dtype)[:, None]
    columns = taps[:, :, 1] + torch.arange(width, device=x.device, dtype=x.dtype)
    # As `grid_sample` has it: from -1 to 1, between the outer edges of the first and the last pixel.
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    grid = grid.view(batch * groups, 9 * height, width, 2)
    maps = x.reshape(batch * groups, channels, height, width)
    seen = F.grid_sample(maps, grid, align_corners=False).view(batch, groups, channels * 9, height * width)
    return (weight.reshape(groups, channels, channels * 9) @ seen).view(batch, groups * channels, height, width)
