"""Any timm feature extractor behind the backbone interface."""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor

from hrtoolkit.errors import OptionError
from hrtoolkit.parts import BaseBackbone
from hrtoolkit.registry import BACKBONES


@BACKBONES.register_module()
class TimmBackbone(BaseBackbone):
    """Wrap `timm.create_model(name, features_only=True)` (https://github.com/huggingface/pytorch-image-models).

    Args:
        name: a timm model that can give features, such as "resnet18" or "hrnet_w32".
        min_stride: maps finer than this are not returned. 4 is where HRNet's finest map lies.
        pretrained: load timm's own weights (needs the network the first time).
        **options: passed on to `timm.create_model`; `feature_location=""` gives the raw branches of timm's HRNets.

    Raises:
        OptionError: timm knows no such model, or it gives no map of stride `min_stride` or coarser.
    """

    def __init__(self, name: str, min_stride: int = 4, pretrained: bool = False, **options: Any):
        super().__init__()
        if not timm.is_model(name):
            near = ", ".join(timm.list_models(f"*{name.split('.')[0][:6]}*")[:5]) or "see timm.list_models()"
            raise OptionError(f"TimmBackbone: timm has no model {name!r}; near names: {near}")
        # The first model is only asked for its strides; the second is built without the maps that nobody reads.
        if "out_indices" not in options:
            reductions = _build(name, False, options).feature_info.reduction()
            options["out_indices"] = tuple(i for i, stride in enumerate(reductions) if stride >= min_stride)
            if not options["out_indices"]:
                raise OptionError(f"TimmBackbone: {name} gives maps of strides {reductions}, none is >= {min_stride}")
        self.net = _build(name, pretrained, options)
        self.out_channels = tuple(self.net.feature_info.channels())
        self.out_strides = tuple(self.net.feature_info.reduction())

    def forward(self, images: Tensor) -> list[Tensor]:
        """Extract the maps of `out_channels` at `out_strides`, finest first, from images [B, 3, H, W]."""
        return self.net(images)


def _build(name: str, pretrained: bool, options: dict) -> Any:
    """The extractor, a module with `feature_info`; timm has several kinds."""
    return timm.create_model(name, pretrained=pretrained, features_only=True, **options)
