"""From an image with many people to the network's input: all of it when testing, a square of it in training."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Warp
from hrtoolkit.ranges import Count
from hrtoolkit.registry import VIEWS
from hrtoolkit.runtime import geometry
from hrtoolkit.runtime.views import fit_short_side
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD, BaseView, Crop

STEP = 64  # sides of inputs are multiples of it


@VIEWS.register_module()
class ShortSide(BaseView):
    """All of an image with its short side at a size, by one matrix (Cheng et al., CVPR 2020, arXiv:1908.10357).

    What the canvas has beyond the image is black. In training an augmentation asks for a square window instead, which
    fills an input of `size` x `size`; it is mirrored in pixels of the input, so that maps and targets stay aligned.

    Args:
        size: of the short side, a multiple of 64.
        mean: of each RGB channel, 0..255.
        std: of each RGB channel.

    Raises:
        OptionError: the size is no multiple of 64.
    """

    multiple = STEP

    def __init__(
        self, *, size: Count = 512, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
    ):
        super().__init__(mean, std)
        if size % STEP:
            raise OptionError(f"size is a multiple of {STEP}, got {size}; {-(-size // STEP) * STEP} is the next one")
        self.size = size

    def __call__(self, image: ndarray, ask: Crop | None = None) -> tuple[ndarray, Warp]:
        if ask is None:
            canvas, matrix = fit_short_side(image.shape[1::-1], self.size)
            return self._warp(image, canvas, matrix, False)
        canvas = (self.size, self.size)
        matrix = geometry.crop_matrix(ask.center, ask.size, canvas, ask.angle)
        if ask.mirror:
            matrix = np.array([[-1, 0, self.size - 1], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]])
        return self._warp(image, canvas, matrix, ask.mirror)

    @staticmethod
    def _warp(image: ndarray, canvas: tuple[int, int], matrix: ndarray, mirror: bool) -> tuple[ndarray, Warp]:
        pixels = cv2.warpAffine(image, matrix, canvas, flags=cv2.INTER_LINEAR)
        return pixels, Warp(image.shape[:2], pixels.shape[:2], mirror, matrix)
