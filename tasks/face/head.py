"""The head of HRNetV2 for face alignment: two 1x1 convolutions over the maps of all resolutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from hrtoolkit.heatmap_head import KeypointHead
from hrtoolkit.heatmaps import Codec
from hrtoolkit.necks import convolve_joined
from hrtoolkit.registry import MODELS
from hrtoolkit.structures import KeypointLayout

OPENMMLAB_LAYERS = {  # of 0.x, then of 1.x
    **{f"head.final_layer.{i}.": f"head.{i}." for i in (0, 1, 3)},
    **{"head.conv_layers.0.": "head.0.", "head.conv_layers.1.": "head.1.", "head.final_layer.": "head.3."},
}


@MODELS.register_module()
class FaceHead(KeypointHead):
    """V2: join the maps of all resolutions, mix their channels, and give one heatmap a landmark (arXiv:1908.07919).

    The official head enlarges every map to the finest one, joins them and convolves by 1x1. Here `convolve_joined`
    gives the same function of the same parameters in less time. Behind the neck `Concat` there is one map, and it is
    the official order of operations.

    Layers carry the official names, `head.0`, `head.1` and `head.3`.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        layout: see `KeypointHead`.
        codec: see `KeypointHead`.
        loss: see `KeypointHead`.
        integer_points: give landmarks as the official code does, cut to integers after the way back to the image and
            one added (0.5 pixels too much on average). Its published numbers are measured so; off for everything else.
        bn_momentum: 0.01 as in the official code, where the running statistics are those of the last few hundred
            steps; runs of fewer steps want 0.1, like the backbone's.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        layout: str | dict | KeypointLayout | None = None,
        codec: Codec | None = None,
        loss: nn.Module | None = None,
        integer_points: bool = False,
        bn_momentum: float = 0.01,
    ):
        super().__init__(in_strides[0], layout, codec, loss)
        self.integer_points = integer_points
        channels = sum(in_channels)
        self.add_module("0", nn.Conv2d(channels, channels, 1))
        self.add_module("1", nn.BatchNorm2d(channels, momentum=bn_momentum))
        self.add_module("3", nn.Conv2d(channels, len(self.layout.names), 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # biases keep torch's initial values, as in the original
                nn.init.normal_(module.weight, std=0.001)

    def forward(self, maps: list[Tensor]) -> Tensor:
        mix, norm, final = self.get_submodule("0"), self.get_submodule("1"), self.get_submodule("3")
        return final(F.relu(convolve_joined(maps, mix, norm), inplace=True)).contiguous()

    @staticmethod
    def convert_checkpoint(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Give OpenMMLab's layers of this head their official names; there is nothing to note."""

        def rename(name: str) -> str:
            for theirs, ours in OPENMMLAB_LAYERS.items():
                if name.startswith(theirs):
                    return ours + name.removeprefix(theirs)
            return name

        return {rename(name): tensor for name, tensor in tensors.items()}, []

    def to_image(self, points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
        points = super().to_image(points, matrices)
        return np.trunc(points) + 1 if self.integer_points else points

    def describe(self) -> dict:
        return {**super().describe(), "integer_points": self.integer_points}
