"""From a PIL image to the network's input, by timm's transforms (which are torchvision's and more)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image
from timm.data import create_transform

from hrtoolkit.data.loading import global_seed
from hrtoolkit.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ResizeCenterCrop:
    """The official test protocol: scale the shorter side to `input_size / crop` and cut out the middle.

    Convention: PIL's resampling, which averages when it shrinks; the published numbers depend on that.

    Args:
        input_size: width and height of the network input.
        crop: share of the scaled image that is kept; 0.875 scales to 256 for an input of 224.
        interpolation: "bilinear" in the official protocol, "bicubic" in timm's `gluon_in1k` weights.
    """

    def __init__(self, input_size: tuple[int, int] = (224, 224), crop: float = 0.875, interpolation: str = "bilinear"):
        self.input_size = tuple(input_size)
        self.transform = create_transform(
            self.input_size[::-1], crop_pct=crop, interpolation=interpolation, use_prefetcher=True
        )

    def __call__(self, image: Image, rng: np.random.Generator | None = None) -> np.ndarray:
        """Give the input as RGB uint8 [h, w, 3]; nothing is random."""
        return _to_array(self.transform(image))


@TRANSFORMS.register_module()
class RandomResizedCrop:
    """Training: a random part of the image, scaled to the input, mirrored, with changed colours (arXiv:1409.4842).

    Args:
        input_size: width and height of the network input.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height of the part.
        flip: probability of mirroring.
        interpolation: "bilinear" in the official recipe; "bicubic", or "random" for one of both.
        color_jitter: strength of changes of brightness, contrast and saturation, instead of which `auto_augment` acts
            where it is given.
        auto_augment: timm's name of a policy, such as "rand-m9-mstd0.5-inc1" (RandAugment, arXiv:1909.13719).
    """

    def __init__(
        self,
        input_size: tuple[int, int] = (224, 224),
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        interpolation: str = "bilinear",
        color_jitter: float = 0.0,
        auto_augment: str | None = None,
    ):
        self.input_size = tuple(input_size)
        self.transform = create_transform(
            self.input_size[::-1],
            is_training=True,
            scale=scale,
            ratio=ratio,
            hflip=flip,
            interpolation=interpolation,
            color_jitter=color_jitter or None,
            auto_augment=auto_augment,
            use_prefetcher=True,
        )

    def __call__(self, image: Image, rng: np.random.Generator | None = None) -> np.ndarray:
        """Give the input as RGB uint8 [h, w, 3]; all that is random follows from `rng`, and is fixed without."""
        with global_seed(0 if rng is None else int(rng.integers(2**32))):
            return _to_array(self.transform(image))


def _to_array(image) -> np.ndarray:
    # With `use_prefetcher` timm ends in uint8 [3, h, w], a view of [h, w, 3]: turned back without a copy.
    return np.asarray(image).transpose(1, 2, 0)
