"""How a classification network looks at an image, by Pillow's resampling, as the published numbers were made.

Convention: sizes in arguments are (width, height). Pillow averages where it shrinks, and the numbers depend on that.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Warp
from hrtoolkit.ranges import Count, Share
from hrtoolkit.registry import VIEWS
from hrtoolkit.runtime.views import cover_size
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD, OLD_TRANSFORMS, BaseView


class Part(NamedTuple):
    """A part of an image that training scales to the input."""

    left: int  # in pixels of the image
    top: int
    width: int
    height: int
    interpolation: str
    mirror: bool


@VIEWS.register_module()
class ResizeCenterCrop(BaseView):
    """The official test protocol: scale the shorter side to `input_size / crop` and cut out the middle.

    In training a `Part` of the image fills the input.

    Args:
        input_size: width and height of the network input.
        crop: share of the scaled image that is kept; 0.875 scales to 256 for an input of 224.
        interpolation: "bilinear" in the official protocol, "bicubic" in timm's `gluon_in1k` weights.
        mean: see `BaseView`.
        std: see `BaseView`.

    Raises:
        OptionError: `crop` is not above 0 and up to 1.
    """

    def __init__(
        self,
        *,
        input_size: tuple[Count, Count] = (224, 224),
        crop: Share = 0.875,
        interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"] = "bilinear",
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
    ):
        super().__init__(mean, std)
        if not 0 < crop <= 1:
            raise OptionError(f"ResizeCenterCrop: crop is a share above 0 and up to 1, got {crop}")
        self.input_size = (input_size[0], input_size[1])
        self.crop = crop
        self.interpolation = interpolation

    def __call__(self, image: np.ndarray, ask: Part | None = None) -> tuple[np.ndarray, Warp]:
        size, mirror = self.input_size, False
        left: float  # of the input, in pixels of the scaled image
        top: float
        if ask is None:
            scaled = cover_size(image.shape[1::-1], size, self.crop)
            x, y = (round((a - b) / 2) for a, b in zip(scaled, size, strict=True))
            left, top = x, y
            scale_x, scale_y = scaled[0] / image.shape[1], scaled[1] / image.shape[0]
            picture = _resize(image, scaled, self.interpolation).crop((x, y, x + size[0], y + size[1]))
        else:
            x, y, width, height, interpolation, mirror = ask
            scale_x, scale_y = size[0] / width, size[1] / height
            left, top = x * scale_x, y * scale_y
            picture = _resize(image[y : y + height, x : x + width], size, interpolation)
        pixels = np.asarray(picture)
        matrix = np.array([[scale_x, 0, scale_x / 2 - 0.5 - left], [0, scale_y, scale_y / 2 - 0.5 - top]])
        if mirror:
            pixels = cv2.flip(pixels, 1)
            matrix[0] = [-scale_x, 0, size[0] - 1 - matrix[0, 2]]
        return pixels, Warp(image.shape[:2], size[::-1], mirror, matrix)


def _resize(image: np.ndarray, size: tuple[int, int], interpolation: str) -> Image.Image:
    return Image.fromarray(image).resize(size, Image.Resampling[interpolation.upper()])


OLD_TRANSFORMS["ResizeCenterCrop"] = lambda options: ({"type": "ResizeCenterCrop", **options}, {})
