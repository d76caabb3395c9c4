"""What training changes about an image, by timm's transforms (which are torchvision's and more)."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy import ndarray
from PIL import Image
from timm.data import create_transform
from timm.data.transforms import RandomResizedCropAndInterpolation

from hrtoolkit.frames import Frame, Size
from hrtoolkit.ranges import NotNegative, Positive, Share
from hrtoolkit.records import Record
from hrtoolkit.registry import AUGMENTATIONS
from hrtoolkit.schemes import Scheme
from hrtoolkit.tasks.classification.views import Part, ResizeCenterCrop
from hrtoolkit.views import OLD_TRANSFORMS, BaseAugmentation, Crop, View


@AUGMENTATIONS.register_module()
class RandomResizedCrop(BaseAugmentation):
    """A random part of the image, scaled to the input, mirrored, with changed colors (arXiv:1409.4842).

    Args:
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height of the part.
        flip: probability of mirroring.
        interpolation: "bilinear" in the official recipe; "bicubic", or "random" for one of both.
        color_jitter: strength of changes of brightness, contrast and saturation, instead of which `auto_augment` acts
            where it is given.
        auto_augment: timm's name of a policy, such as "rand-m9-mstd0.5-inc1" (RandAugment, arXiv:1909.13719).
    """

    views = (ResizeCenterCrop,)
    borrows = True

    def __init__(
        self,
        *,
        scale: tuple[Positive, Positive] = (0.08, 1.0),
        ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
        flip: Share = 0.5,
        interpolation: Literal["random", "nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"] = "bilinear",
        color_jitter: NotNegative = 0.0,
        auto_augment: str | None = None,
    ):
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)
        self.flip = flip
        self.interpolation = interpolation
        self.color_jitter = color_jitter
        self.auto_augment = auto_augment

    def ask(
        self,
        view: View[Part],
        image_hw: Size,
        truth: Record,
        crop: Crop | None,
        scheme: Scheme,
        rng: np.random.Generator,
    ) -> Part:
        canvas = torch.empty(0, *image_hw)  # all that timm wants to know of an image is its size
        top, left, height, width = RandomResizedCropAndInterpolation.get_params(canvas, self.scale, self.ratio)
        interpolation: str = self.interpolation
        if interpolation == "random":
            interpolation = random.choice(("bilinear", "bicubic"))
        mirror = self.flip > 0 and bool(torch.rand(1) < self.flip)
        return Part(left, top, width, height, interpolation, mirror)

    def retouch(self, pixels: ndarray, frame: Frame, rng: np.random.Generator) -> ndarray:
        if not (self.color_jitter or self.auto_augment):
            return pixels
        height, width = frame.input_hw
        change = _color_changes((height, width), self.interpolation, self.color_jitter, self.auto_augment)
        return np.asarray(change(Image.fromarray(pixels)))


@functools.cache
def _color_changes(
    input_hw: Size, interpolation: str, color_jitter: float, auto_augment: str | None
) -> Callable[[Image.Image], Image.Image]:
    """The second of the three stages of timm's training transform; policies depend on the size."""
    stages: Any = create_transform(
        input_hw,
        is_training=True,
        separate=True,
        color_jitter=color_jitter or None,  # type: ignore[arg-type]  # timm takes None, whatever it says
        auto_augment=auto_augment,
        interpolation=interpolation,
    )
    return stages[1]


def _random_resized_crop(options: dict) -> tuple[dict, dict]:
    view = {name: options.pop(name) for name in ("input_size",) if name in options}
    return {"type": "ResizeCenterCrop", **view}, {"type": "RandomResizedCrop", **options}


OLD_TRANSFORMS["RandomResizedCrop"] = _random_resized_crop
