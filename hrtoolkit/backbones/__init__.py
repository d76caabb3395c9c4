"""Feature extractors: images [B, 3, H, W] to a list of maps, finest first, of `out_channels` and `out_strides`."""

from hrtoolkit.backbones.hrnet import HRNet
from hrtoolkit.backbones.timm import TimmBackbone

__all__ = ["HRNet", "TimmBackbone"]
