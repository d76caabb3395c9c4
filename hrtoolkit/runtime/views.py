"""How a network looks at an image: the same pixels as hrtoolkit's views, by NumPy and OpenCV alone.

Convention: images are RGB [H, W, 3]; sizes in arguments are (width, height), and (height, width) in names with `_hw`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy import ndarray

from . import geometry
from .errors import CheckpointError
from .resample import resize_like_pillow, resize_like_torch

Size = tuple[int, int]
LONGEST = 8  # a long side in short ones, up to which `ShortSide` keeps its scale


class Look(NamedTuple):
    """An input of a network, and what leads back to its image."""

    pixels: ndarray  # RGB uint8 or float32 [h, w, 3]
    image_hw: Size
    content_hw: Size  # of the part of the input that is mapped back
    matrix: ndarray | None = None  # [2, 3], image to input pixels, where one matrix leads there
    box_xyxy: ndarray | None = None  # [4] of what a crop shows
    score: float = 1.0  # of that box
    area: float = 0.0  # of the padded crop, in square pixels of the image


@dataclass(frozen=True)
class TopDown:
    """Cut one person or face out of an image by one matrix (Xiao et al., ECCV 2018).

    Args:
        input_size: width and height of the input.
        padding: factor on a box's width and height, before they are grown to the input's aspect.
        contrast_stretch: see `stretch_contrast`.
        unbiased: see `geometry.crop_matrix`.
    """

    input_size: Size
    padding: float
    contrast_stretch: bool
    unbiased: bool

    def look(self, image: ndarray, box_xyxy: ndarray, score: float) -> Look:
        """The crop of a box [4] float64 in an image, uint8 [H, W, 3]."""
        center, size = geometry.box_to_center(geometry.to_xywh(box_xyxy[None]))
        # In single precision first, as where the crops of a million people are kept.
        width, height = (size[0] * self.padding).astype(np.float32).tolist()
        aspect = self.input_size[0] / self.input_size[1]
        width, height = max(width, height * aspect), max(height, width / aspect)
        center, size = center[0].astype(np.float32).astype(np.float64), np.array([width, height])
        matrix = geometry.crop_matrix(center, size, self.input_size, unbiased=self.unbiased)
        pixels, input_hw = self.cut(image, center, size, matrix), self.input_size[::-1]
        return Look(pixels, image.shape[:2], input_hw, matrix, box_xyxy, score, width * height)

    def cut(self, image: ndarray, center: ndarray, size: ndarray, matrix: ndarray) -> ndarray:
        """The pixels of a crop around a centre [2], of a width and height [2], by its matrix [2, 3]."""
        pixels = cv2.warpAffine(image, matrix, self.input_size, flags=cv2.INTER_LINEAR)
        return stretch_contrast(pixels) if self.contrast_stretch else pixels


class OfficialFaceCrop(TopDown):
    """The crop of the official face code: a window of whole pixels, resized as Pillow does."""

    def cut(self, image: ndarray, center: ndarray, size: ndarray, matrix: ndarray) -> ndarray:
        side = self.input_size[0]
        shrink = size[0] / side
        if shrink >= 2:
            height, width = (int(length / shrink) for length in image.shape[:2])
            if max(height, width) < 2:
                return np.zeros((side, side, 3), np.uint8)
            image = resize_like_pillow(self._stretch(image), (max(width, 1), max(height, 1)), "bilinear")
            center, size = center / shrink, size / shrink
        first, end = official_window(center, size, side)
        return resize_like_pillow(self._stretch(cut_window(image, first, end)), self.input_size, "bilinear")

    def _stretch(self, pixels: ndarray) -> ndarray:
        return stretch_contrast(pixels) if self.contrast_stretch else pixels


def stretch_contrast(pixels: ndarray) -> ndarray:
    """Spread values [H, W, 3] over 0..255, all channels alike, as uint8; a constant crop becomes black."""
    pixels = pixels.astype(np.float32)
    low, high = pixels.min(), pixels.max()
    factor = np.float32(255) / (high - low) if high > low else np.float32(1)
    return (((pixels - low) * factor).clip(0, 255) + np.float32(0.5)).astype(np.uint8)


def official_window(center: ndarray, size: ndarray, side: int) -> tuple[ndarray, ndarray]:
    """The first pixel of the official face code's window, and the one behind its last, int [2] (x, y) each.

    Args:
        center: [2], in pixels of the image.
        size: [2], width and height of the crop.
        side: of the square input.
    """
    # Two corners of the input, at -1 and at its last pixel, in whole pixels of the image.
    to_image = geometry.invert_affine(geometry.crop_matrix(center, size, (side, side)))
    corners = geometry.transform_points(np.array([[-1.0, -1.0], [side - 1.0, side - 1.0]]), to_image)
    first, end = np.trunc(corners).astype(int) + 1
    return first, end


def cut_window(pixels: ndarray, first: ndarray, end: ndarray) -> ndarray:
    """The window from `first` to before `end` (x, y) of pixels [H, W, 3], black outside, at least a pixel large."""
    width, height = np.maximum(end - first, 1)
    window = np.zeros((height, width, 3), pixels.dtype)
    left, top = np.maximum(first, 0)
    right, bottom = np.minimum(end, pixels.shape[1::-1])
    if left < right and top < bottom:
        x, y = left - first[0], top - first[1]
        window[y : y + bottom - top, x : x + right - left] = pixels[top:bottom, left:right]
    return window


@dataclass(frozen=True)
class FitInside:
    """Fit an image into a longest and a shortest side, as detectors do.

    Args:
        size: longest and shortest side of the result.
        float_resize: sides rounded down and grey levels not at all; else sides and grey levels to the nearest.
        last_pixel: boxes are mapped back by their last pixel.
        convention: the name of these rules.
    """

    size: Size
    float_resize: bool
    last_pixel: bool
    convention: str = ""

    def look(self, image: ndarray) -> Look:
        """The input that shows all of an image, uint8 [H, W, 3]."""
        size_hw = height, width = fit_size(image.shape[:2], *self.size, "down" if self.float_resize else "nearest")
        pixels = image
        if self.float_resize:
            planes = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
            pixels = resize_like_torch(planes, size_hw).transpose(1, 2, 0)
        elif size_hw != image.shape[:2]:
            pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return Look(pixels, image.shape[:2], size_hw)


def fit_size(size_hw: Size, longest: int, shortest: int, rounding: str = "nearest") -> Size:
    """Height and width of the largest image of the same aspect whose sides are not above `longest` and `shortest`."""
    scale = min(longest / max(size_hw), shortest / min(size_hw))
    half = 0.5 if rounding == "nearest" else 0.0
    height, width = (max(1, int(side * scale + half)) for side in size_hw)
    return height, width


@dataclass(frozen=True)
class WholeImage:
    """The whole image at the size at which a segmentation network is tested.

    Args:
        short_side: length of the shorter side; None keeps the image's size.
        fit: longest and shortest side; an image becomes as large as both allow.
        squash: width and height that every image is brought to.
        pad_to: pad both sides with `color` to multiples of this.
        crop_padding: cut the padding off the prediction.
        color: RGB of the padding.
    """

    short_side: int | None
    fit: Size | None
    squash: Size | None
    pad_to: int
    crop_padding: bool
    color: tuple[int, int, int]

    def look(self, image: ndarray) -> Look:
        """The input that shows all of an image, uint8 [H, W, 3]."""
        size = whole_size(image.shape[1::-1], self.short_side, self.fit, self.squash)
        pixels = image if size == image.shape[1::-1] else cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        columns, rows = (-side % self.pad_to for side in size)
        if columns or rows:
            pixels = cv2.copyMakeBorder(pixels, 0, rows, 0, columns, cv2.BORDER_CONSTANT, value=self.color)
        return Look(pixels, image.shape[:2], size[::-1] if self.crop_padding else pixels.shape[:2])


def whole_size(size: Size, short_side: int | None, fit: Size | None, squash: Size | None) -> Size:
    """Width and height that an image is brought to, by one of three rules or none, see `WholeImage`.

    Args:
        size: width and height before.
        short_side: length of the shorter side.
        fit: longest and shortest side.
        squash: width and height.
    """
    if short_side is not None:
        return resize_sides(size, short_side, short=True)
    if fit is not None:
        factor = min(fit[0] / max(size), fit[1] / min(size))
        return max(int(size[0] * factor + 0.5), 1), max(int(size[1] * factor + 0.5), 1)
    return squash or size


def resize_sides(size: Size, length: int, short: bool) -> Size:
    """Bring the short or the long side to `length`; of equal sides the width leads."""
    width, height = size
    height_leads = height < width if short else height > width
    if height_leads:
        return max(int(width * length / height + 0.5), 1), length
    return length, max(int(height * length / width + 0.5), 1)


@dataclass(frozen=True)
class ShortSide:
    """Bring the short side of an image to a size, on a black canvas, as bottom-up pose is tested.

    Args:
        size: of the short side, a multiple of 64.
    """

    size: int

    def look(self, image: ndarray) -> Look:
        """The input that shows all of an image, uint8 [H, W, 3]."""
        canvas, matrix = fit_short_side(image.shape[1::-1], self.size)
        pixels = cv2.warpAffine(image, matrix, canvas, flags=cv2.INTER_LINEAR)
        return Look(pixels, image.shape[:2], pixels.shape[:2], matrix)


def fit_short_side(size: Size, side: int) -> tuple[Size, ndarray]:
    """Bring an image's short side to `side` and its centre to that of a canvas (Cheng et al., CVPR 2020).

    The long side of the canvas is the next multiple of 64, as the official code rounds it (768.8 becomes 768). An
    image that is longer than `LONGEST` times its short side is shown smaller, so that no picture takes all memory.

    Args:
        size: width and height of the image.
        side: a multiple of 64.

    Returns:
        width and height of the canvas, and the matrix [2, 3] from image to canvas pixels.
    """
    short, long = min(size), max(size)
    length = min(64 * int((side / short * long + 63) // 64), LONGEST * side)
    canvas = (side, length) if size[0] < size[1] else (length, side)
    factor = min(side / short, LONGEST * side / long)
    center = np.floor(np.array(size) / 2 + 0.5)
    return canvas, geometry.crop_matrix(center, np.array(canvas) / factor, canvas)


@dataclass(frozen=True)
class ResizeCenterCrop:
    """Scale the shorter side as Pillow does, and cut out the middle, as classification networks are tested.

    Args:
        input_size: width and height of the input.
        crop: share of the scaled image that is kept.
        interpolation: of Pillow.
    """

    input_size: Size
    crop: float
    interpolation: str

    def look(self, image: ndarray) -> Look:
        """The input that shows the middle of an image, uint8 [H, W, 3]."""
        (width, height), scaled = self.input_size, cover_size(image.shape[1::-1], self.input_size, self.crop)
        left, top = (round((a - b) / 2) for a, b in zip(scaled, self.input_size, strict=True))
        # What lies beyond the scaled image is black.
        first_x, first_y, end_x, end_y = (
            max(left, 0),
            max(top, 0),
            min(left + width, scaled[0]),
            min(top + height, scaled[1]),
        )
        pixels = np.zeros((height, width, 3), np.uint8)
        part = resize_like_pillow(image, scaled, self.interpolation, (first_x, first_y, end_x, end_y))
        pixels[first_y - top : end_y - top, first_x - left : end_x - left] = part
        return Look(pixels, image.shape[:2], (height, width))


def cover_size(size: Size, input_size: Size, crop: float) -> Size:
    """Width and height of a whole scaled image, a share of whose shorter side fills the input.

    Args:
        size: width and height before.
        input_size: of the input.
        crop: that share.
    """
    targets = [math.floor(side / crop) for side in input_size]
    width, height = size
    if targets[0] == targets[1]:  # rounded as torchvision does, otherwise as timm does
        return int(targets[0] * width / min(size)), int(targets[0] * height / min(size))
    ratio = min(side / target for side, target in zip(size, targets, strict=True))
    return round(width / ratio), round(height / ratio)


View = TopDown | FitInside | WholeImage | ShortSide | ResizeCenterCrop
VIEWS: dict[str, type[View]] = {
    view.__name__: view for view in (TopDown, OfficialFaceCrop, FitInside, WholeImage, ShortSide, ResizeCenterCrop)
}


def make_view(settings: Mapping[str, Any], mean: Sequence[float]) -> View:
    """Make the view of an exported folder.

    Args:
        settings: its `type`, and its options.
        mean: of each RGB channel.

    Raises:
        CheckpointError: it is not known, or has other options.
    """
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    kind = options.pop("type", None)
    if kind not in VIEWS:
        raise CheckpointError(
            f"the view {kind!r} is not one of {', '.join(VIEWS)}: this runtime cannot look at images so"
        )
    if kind == "WholeImage":
        options["color"] = tuple(map(round, mean))
    try:
        return VIEWS[kind](**options)
    except TypeError as error:
        raise CheckpointError(f"the view {kind} has other options than this runtime knows ({error})") from None
