"""What training changes about an image, after the official segmentation code (arXiv:1908.07919)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Size
from hrtoolkit.ranges import Count, NotNegative, Positive, Share
from hrtoolkit.records import Record
from hrtoolkit.registry import AUGMENTATIONS
from hrtoolkit.schemes import Scheme
from hrtoolkit.tasks.segmentation.views import Tile, WholeImage, scale_size
from hrtoolkit.views import OLD_TRANSFORMS, BaseAugmentation, Crop, View

LUMA = np.array([0.299, 0.587, 0.114])


@AUGMENTATIONS.register_module()
class ScaleCropFlip(BaseAugmentation):
    """Scale an image, cut a tile out of it, mirror it, change its colors.

    Tiles that reach beyond the image are filled with black, their labels with IGNORED.

    Args:
        crop_size: width and height of the tile.
        base_size: length of the long side at scale 1, in pixels.
        scale: smallest and largest factor, drawn in steps of a tenth. (The papers say 0.5 to 2; the code goes to 2.1.)
        flip: probability of mirroring; mirrored classes (left arm, right arm) then change places.
        brightness: largest shift of all three channels, of 255.
        contrast: largest relative change of contrast.
        saturation: largest relative change of the distance from grey.

    Raises:
        OptionError: the largest scale is below the smallest.
    """

    views = (WholeImage,)

    def __init__(
        self,
        *,
        crop_size: tuple[Count, Count],
        base_size: Count,
        scale: tuple[Positive, Positive] = (0.5, 2.1),
        flip: Share = 0.5,
        brightness: NotNegative = 0.0,
        contrast: NotNegative = 0.0,
        saturation: NotNegative = 0.0,
    ):
        if scale[0] > scale[1]:
            raise OptionError(f"ScaleCropFlip: scale is (smallest, largest), got {tuple(scale)}")
        self.crop_size = (crop_size[0], crop_size[1])
        self.base_size = base_size
        self.scale = tuple(scale)
        self.flip = flip
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation

    def ask(
        self,
        view: View[Tile],
        image_hw: Size,
        truth: Record,
        crop: Crop | None,
        scheme: Scheme,
        rng: np.random.Generator,
    ) -> Tile:
        assert isinstance(view, WholeImage)
        smallest, largest = self.scale
        scale = smallest + rng.integers(round((largest - smallest) * 10) + 1) / 10
        full = scale_size(view.squash or image_hw[::-1], self.base_size * scale)
        size = min(self.crop_size[0], full[0]), min(self.crop_size[1], full[1])
        left, top = (int(rng.integers(whole - part + 1)) for whole, part in zip(full, size, strict=True))
        mirror = bool(rng.random() < self.flip)
        return Tile(full, left, top, size, padded_size=self.crop_size, mirror=mirror)

    def retouch(self, pixels: ndarray, frame: Frame, rng: np.random.Generator) -> ndarray:
        """Saturation, then contrast, then brightness: one affine function of the three channels."""
        if not (self.brightness or self.contrast or self.saturation):
            return pixels
        shift, contrast, saturation = rng.uniform(-1, 1, 3) * (255 * self.brightness, self.contrast, self.saturation)
        to_grey = np.tile(LUMA, (3, 1))
        matrix = (1 + contrast) * (to_grey + (1 + saturation) * (np.eye(3) - to_grey))
        height, width = frame.content_hw  # what is padded stays black
        part = np.ascontiguousarray(pixels[:height, :width])
        pixels[:height, :width] = cv2.transform(part, np.column_stack([matrix, np.full(3, shift)]))
        return pixels


def _scale_crop_flip(options: dict) -> tuple[dict, dict]:
    view = {name: options.pop(name) for name in ("squash",) if name in options}
    return {"type": "WholeImage", **view}, {"type": "ScaleCropFlip", **options}


OLD_TRANSFORMS["ScaleCropFlip"] = _scale_crop_flip
