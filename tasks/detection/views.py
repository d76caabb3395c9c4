"""How a detector looks at an image: resized with the aspect kept, by the rules of the code base that it follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Resized, Settings, Size
from hrtoolkit.ranges import Count
from hrtoolkit.registry import VIEWS
from hrtoolkit.runtime.views import fit_size
from hrtoolkit.tasks.detection.conventions import CONVENTIONS
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD, BaseView


class Fit(NamedTuple):
    """What `FitInside` is asked for."""

    size: tuple[int, int]  # longest and shortest side of the result, as large as both allow
    mirror: bool = False


@VIEWS.register_module()
class FitInside(BaseView):
    """Fit an image into a longest and a shortest side; padding comes when a batch is joined.

    Args:
        size: longest and shortest side of the result, in either order, as in mmdetection.
        convention: the head's code base: how sides and grey levels are rounded, and boxes scaled.
        mean: of each RGB channel, 0 to 255.
        std: of each RGB channel.

    Raises:
        OptionError: the sides are not two positive numbers.
    """

    multiple = 32
    smallest = 64  # the coarsest map of a pyramid, of stride 64, needs a cell
    told: tuple[str, ...] = ("convention",)

    def __init__(
        self,
        *,
        size: tuple[Count, Count] = (1333, 800),
        convention: str = "mmdet",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__(mean, std)
        self.size = sides(size)
        self.convention = convention

    def __call__(self, image: np.ndarray, ask: Fit | None = None) -> tuple[np.ndarray, Resized]:
        size, mirror = ask or Fit(self.size)
        rules = CONVENTIONS[self.convention]
        image_hw = image.shape[:2]
        height, width = size_hw = fit_size(image_hw, *size, "down" if rules.float_resize else "nearest")
        if rules.float_resize:
            image = resize_float(image, size_hw)
        elif size_hw != image_hw:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        if mirror:
            image = cv2.flip(image, 1)
        return image, Resized(
            image_hw=image_hw,
            input_hw=size_hw,
            mirror=mirror,
            scaled_hw=size_hw,
            window=(0, 0, width, height),
            content=size_hw,
            last_pixel=rules.last_pixel,
        )

    def portable(self) -> Settings:
        """As of any view, with what the name of the convention stands for."""
        rules = CONVENTIONS[self.convention]
        return super().portable() | {"float_resize": rules.float_resize, "last_pixel": rules.last_pixel}


def sides(size: Sequence[int]) -> tuple[int, int]:
    """The longer and the shorter of two sides.

    Raises:
        OptionError: they are not two positive numbers.
    """
    if len(size) != 2 or min(size) <= 0:
        raise OptionError(f"a size is a pair of a longest and a shortest side, got {size!r}")
    return max(size), min(size)


def resize_float(image: np.ndarray, size_hw: Size) -> np.ndarray:
    """Resize an image [H, W, 3] bilinearly to float32, as torchvision's detectors do."""
    channels_first = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    resized = F.interpolate(channels_first, size=size_hw, mode="bilinear", align_corners=False)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
