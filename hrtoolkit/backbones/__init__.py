"""Feature extractors: `forward(images [B, 3, H, W]) -> list of maps`, finest first, with `out_channels`, `out_strides`."""

from hrtoolkit.backbones.hrnet import HRNet
from hrtoolkit.backbones.timm import TimmBackbone

__all__ = ["HRNet", "TimmBackbone"]
