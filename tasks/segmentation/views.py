"""How a segmentation network looks at an image, after the official segmentation code (arXiv:1908.07919).

Convention: sizes in arguments are (width, height), as in configs. Images are interpolated bilinearly with pixel centres
at half integers, label maps take OpenCV's nearest pixel, floor(x * width / new_width).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Resized
from hrtoolkit.ranges import Count
from hrtoolkit.registry import VIEWS
from hrtoolkit.runtime.views import resize_sides, whole_size
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD, OLD_TRANSFORMS, BaseView


class Tile(NamedTuple):
    """A part of a scaled image, as training looks at it; sizes are (width, height)."""

    scaled_size: tuple[int, int]  # of the whole scaled image
    left: int  # of the part, in pixels of the scaled image
    top: int
    size: tuple[int, int]
    padded_size: tuple[int, int]  # of the input: black at the right and the bottom
    mirror: bool


@VIEWS.register_module()
class WholeImage(BaseView):
    """The whole image at the size at which it is tested; in training a `Tile` of it, cut out by one warp.

    Args:
        short_side: length of the shorter side; None keeps the image's size.
        fit: longest and shortest side; an image becomes as large as both allow (mmsegmentation). None keeps its size.
        squash: width and height that every image is brought to, whatever its aspect (LIP); None keeps it.
        pad_to: pad both sides with the mean color to multiples of this.
        crop_padding: cut the padding off the prediction. The official ADE20K evaluation does not, and squeezes the
            padded map onto the image.
        mean: see `BaseView`.
        std: see `BaseView`.

    Raises:
        OptionError: more than one of `short_side`, `fit` and `squash` is given.
    """

    def __init__(
        self,
        *,
        short_side: Count | None = None,
        fit: tuple[Count, Count] | None = None,
        squash: tuple[Count, Count] | None = None,
        pad_to: Count = 1,
        crop_padding: bool = True,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
    ):
        super().__init__(mean, std)
        if sum(one is not None for one in (short_side, fit, squash)) > 1:
            raise OptionError("WholeImage: give one of short_side, fit and squash")
        self.short_side = short_side
        self.fit = None if fit is None else (max(fit), min(fit))
        self.squash = None if squash is None else (squash[0], squash[1])
        self.pad_to = pad_to
        self.crop_padding = crop_padding

    def __call__(self, image: np.ndarray, ask: Tile | None = None) -> tuple[np.ndarray, Resized]:
        return self._whole(image) if ask is None else _cut(image, ask)

    def _whole(self, image: np.ndarray) -> tuple[np.ndarray, Resized]:
        image_hw = height, width = image.shape[:2]
        size = whole_size((width, height), self.short_side, self.fit, self.squash)
        if size != (width, height):
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        width, height = size
        padded = width + -width % self.pad_to, height + -height % self.pad_to
        red, green, blue = self.mean
        pixels = _pad(image, padded, (round(red), round(green), round(blue)))
        content = (height, width) if self.crop_padding else padded[::-1]
        return pixels, Resized(image_hw, padded[::-1], False, (height, width), (0, 0, width, height), content)


def _cut(image: np.ndarray, tile: Tile) -> tuple[np.ndarray, Resized]:
    (full_width, full_height), left, top, (width, height), padded, mirror = tile
    # Scaled pixels of the part, mirrored or not, as affine functions of its own.
    column, step = (left + width - 1, -1) if mirror else (left, 1)
    factor_x, factor_y = image.shape[1] / full_width, image.shape[0] / full_height
    to_image = np.array(
        [[step * factor_x, 0, (column + 0.5) * factor_x - 0.5], [0, factor_y, (top + 0.5) * factor_y - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(image, to_image, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    window = (left, top, width, height)
    frame = Resized(image.shape[:2], padded[::-1], mirror, (full_height, full_width), window, (height, width))
    return _pad(pixels, padded, (0, 0, 0)), frame


def scale_size(size: tuple[int, int], long_side: float) -> tuple[int, int]:
    """Width and height after the long side is brought to floor(long_side + 0.5) and the other one follows.

    Args:
        size: width and height before.
        long_side: in pixels, need not be whole.
    """
    return resize_sides(size, int(long_side + 0.5), short=False)


def _pad(image: np.ndarray, size: tuple[int, int], color: tuple[int, int, int]) -> np.ndarray:
    """Add columns at the right and rows at the bottom, up to a width and height."""
    columns, rows = size[0] - image.shape[1], size[1] - image.shape[0]
    if not (columns or rows):
        return image
    return cv2.copyMakeBorder(image, 0, rows, 0, columns, cv2.BORDER_CONSTANT, value=color)


def _whole_image(options: dict) -> tuple[dict, dict]:
    options = {"pad_to" if name == "multiple" else name: value for name, value in options.items()}
    return {"type": "WholeImage", **options}, {}


OLD_TRANSFORMS["WholeImage"] = _whole_image
