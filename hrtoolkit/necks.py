"""Necks: `forward(list of maps) -> list of maps`, built with the channels and strides of the maps they receive.

HighestResolution, Concat and Pyramid turn one backbone into HRNetV1, V2 and V2p (arXiv:1908.07919, Fig. 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from hrtoolkit.parts import BaseNeck
from hrtoolkit.ranges import Count
from hrtoolkit.registry import NECKS


@NECKS.register_module()
class HighestResolution(BaseNeck):
    """V1: keep only the finest map.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
    """

    def __init__(self, in_channels: Sequence[int], in_strides: Sequence[int]):
        super().__init__()
        self.out_channels = (in_channels[0],)
        self.out_strides = (in_strides[0],)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [maps[0]]


@NECKS.register_module()
class Concat(BaseNeck):
    """V2: enlarge every map to the finest one and join their channels, finest first.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        align_corners: of the bilinear enlarging; true in the official OCR segmentation weights.
    """

    def __init__(self, in_channels: Sequence[int], in_strides: Sequence[int], align_corners: bool = False):
        super().__init__()
        self.align_corners = align_corners
        self.out_channels = (sum(in_channels),)
        self.out_strides = (in_strides[0],)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [_concat(maps, self.align_corners)]

    def describe(self) -> dict:
        """What the map of these weights depends on, in plain values; it is kept in every checkpoint."""
        return {"align_corners": self.align_corners}


@NECKS.register_module()
class Pyramid(BaseNeck):
    """V2p: reduce the joined maps by a 1x1 convolution, average-pool them to several levels, smooth each by a 3x3.

    Layers carry the official names, `reduction_conv.0` and `fpn_conv.{level}`.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        channels: channels of every level.
        levels: number of levels; each is half as large as the one before, rounded down.
        pool: "average" in all official configs, or "max".

    Raises:
        ValueError: on forward, the finest map is too small for the coarsest level.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: Count = 256,
        levels: Count = 5,
        pool: Literal["average", "max"] = "average",
    ):
        super().__init__()
        self.reduction_conv = nn.Sequential(nn.Conv2d(sum(in_channels), channels, 1))
        self.fpn_conv = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(levels))
        self.pool: Callable[..., Tensor] = F.avg_pool2d if pool == "average" else F.max_pool2d
        self.out_channels = (channels,) * levels
        self.out_strides = tuple(in_strides[0] * 2**level for level in range(levels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        coarsest = 2 ** (len(self.fpn_conv) - 1)
        if min(maps[0].shape[-2:]) < coarsest:
            size = tuple(maps[0].shape[-2:])
            raise ValueError(
                f"Pyramid: {len(self.fpn_conv)} levels need a finest map of at least {coarsest} rows and columns, "
                f"got {size}; use larger images or fewer levels"
            )
        reduced = self.reduction_conv(_concat(maps, align_corners=False))
        # Each level pools the reduced map itself: cascaded pooling would round odd sizes differently.
        pooled = [reduced, *(self.pool(reduced, 2**level) for level in range(1, len(self.fpn_conv)))]
        return [conv(x) for conv, x in zip(self.fpn_conv, pooled, strict=True)]


def convolve_joined(maps: list[Tensor], conv: nn.Conv2d, norm: nn.Module, align_corners: bool = False) -> Tensor:
    """What `Concat`, a 1x1 convolution and a normalisation give, without joining the maps.

    Each map meets its own columns of the convolution at its own resolution, and the results are enlarged and added: a
    1x1 convolution and bilinear enlarging commute. That is an eighth of the work for an HRNet, and no joined map in
    memory. A single map is taken for the joined one.

    Args:
        maps: [B, C_i, h_i, w_i], finest first.
        conv: from the sum of C_i to C channels, with a bias.
        norm: of its output.
        align_corners: of the bilinear enlarging.

    Returns:
        [B, C, h_0, w_0].
    """
    if len(maps) == 1:
        return norm(conv(maps[0]))
    weight, bias = conv.weight, conv.bias
    fused = not norm.training and not torch.is_grad_enabled()
    if fused:
        # Normalising that many channels at the finest resolution would cost as much as the convolution.
        assert isinstance(norm, _BatchNorm), "folding leaves this alone"
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None, "a normalisation that is no identity in eval mode"
        weight, bias = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, norm.weight, norm.bias)
    total = convolve_maps(maps, weight, bias, align_corners)
    return total if fused else norm(total)


def two_convolutions(channels: int, outputs: int) -> nn.Sequential:
    """Two 1x1 convolutions for joined maps, with a normalisation and ReLU between (arXiv:1908.07919, Sec. 3.2)."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, outputs, 1),
    )


def convolve_twice(maps: list[Tensor], layers: nn.Sequential, align_corners: bool = False) -> Tensor:
    """What `Concat` and `two_convolutions` give, without joining the maps, see `convolve_joined`.

    Args:
        maps: [B, C_i, h_i, w_i], finest first; a single map is taken for the joined one.
        layers: of `two_convolutions`.
        align_corners: of the bilinear enlarging.

    Returns:
        [B, outputs, h_0, w_0].
    """
    conv, norm, relu, last = layers
    assert isinstance(conv, nn.Conv2d)
    return last(relu(convolve_joined(maps, conv, norm, align_corners)))


def convolve_maps(maps: list[Tensor], weight: Tensor, bias: Tensor | None, align_corners: bool = False) -> Tensor:
    """What `Concat` and a 1x1 convolution give, without joining the maps, see `convolve_joined`.

    Args:
        maps: [B, C_i, h_i, w_i], finest first; a single map is taken for the joined one.
        weight: [C, sum of C_i, 1, 1].
        bias: [C].
        align_corners: of the bilinear enlarging.

    Returns:
        [B, C, h_0, w_0].
    """
    weights = weight.split([x.shape[1] for x in maps], dim=1)
    total = F.conv2d(maps[0], weights[0], bias)
    for i in range(1, len(maps)):
        size_hw = total.shape[-2:]
        y = F.conv2d(maps[i], weights[i])
        # In place: the time goes into writing memory.
        total += F.interpolate(y, size=size_hw, mode="bilinear", align_corners=align_corners)
    return total


def _concat(maps: list[Tensor], align_corners: bool) -> Tensor:
    size_hw = maps[0].shape[-2:]
    enlarged = [F.interpolate(x, size=size_hw, mode="bilinear", align_corners=align_corners) for x in maps[1:]]
    return torch.cat([maps[0], *enlarged], dim=1)
