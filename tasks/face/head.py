"""The head of HRNetV2 for face alignment: two 1x1 convolutions over the maps of all resolutions."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.frames import Settings, Warp
from hrtoolkit.keypoints.codecs import Codec
from hrtoolkit.keypoints.head import KeypointHead
from hrtoolkit.necks import convolve_joined
from hrtoolkit.ranges import Share
from hrtoolkit.registry import HEADS
from hrtoolkit.schemes import SchemeLike


@HEADS.register_module()
class FaceHead(KeypointHead):
    """V2: join the maps of all resolutions, mix their channels, and give one heatmap a keypoint (arXiv:1908.07919).

    The official head enlarges every map to the finest one, joins them and convolves by 1x1. Here `convolve_joined`
    gives the same function of the same parameters in less time. Behind the neck `Concat` there is one map, and it is
    the official order of operations.

    Layers carry the official names, `head.0`, `head.1` and `head.3`.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        scheme: see `KeypointHead`.
        codec: see `KeypointHead`.
        loss: see `KeypointHead`.
        integer_points: give points as the official code does, cut to integers after the way back to the image and
            one added (0.5 pixels too much on average). Its published numbers are measured so; off for everything else.
        bn_momentum: 0.01 as in the official code, where the running statistics are those of the last few hundred
            steps; runs of fewer steps want 0.1, like the backbone's.
    """

    output_layers = MappingProxyType({"3": 1})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        codec: Codec | None = None,
        loss: nn.Module | None = None,
        integer_points: bool = False,
        bn_momentum: Share = 0.01,
    ):
        super().__init__(in_strides[0], scheme=scheme, codec=codec, loss=loss)
        self.integer_points = integer_points
        channels = sum(in_channels)
        self.add_module("0", nn.Conv2d(channels, channels, 1))
        self.add_module("1", nn.BatchNorm2d(channels, momentum=bn_momentum))
        self.add_module("3", nn.Conv2d(channels, len(self.scheme.names), 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # biases keep torch's initial values, as in the original
                nn.init.normal_(module.weight, std=0.001)

    def forward(self, maps: list[Tensor]) -> Tensor:
        mix, norm, final = self.get_submodule("0"), self.get_submodule("1"), self.get_submodule("3")
        assert isinstance(mix, nn.Conv2d)
        return final(F.relu(convolve_joined(maps, mix, norm), inplace=True)).contiguous()

    def to_image(self, points: ndarray, frames: Warp) -> ndarray:
        points = super().to_image(points, frames)
        return np.trunc(points) + 1 if self.integer_points else points

    def reading(self) -> Settings:
        return {**super().reading(), "integer_points": self.integer_points}

    def describe(self) -> Settings:
        return {**super().describe(), "integer_points": self.integer_points}
