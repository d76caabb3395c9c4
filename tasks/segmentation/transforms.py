"""From an image and its label map to the network's input, after the official segmentation code (arXiv:1908.07919).

Convention: images are RGB uint8 [H, W, 3], label maps class indices uint8 [H, W]; sizes in arguments are
(width, height), as in configs. Images are interpolated bilinearly with pixel centres at half integers, labels take
OpenCV's nearest pixel, floor(x * width / new_width).
"""

from __future__ import annotations

import cv2
import numpy as np
from hrtoolkit.tasks.segmentation.classes import IGNORED, ClassSet

from hrtoolkit.registry import TRANSFORMS

MEAN_COLOR = (124, 116, 104)  # ImageNet's, rounded: what the official code pads whole images with
LUMA = np.array([0.299, 0.587, 0.114])


@TRANSFORMS.register_module()
class ScaleCropFlip:
    """Scale an image, cut a window out of it, mirror it, change its colours: one warp from file to crop.

    Windows that reach beyond the image are filled with black, their labels with IGNORED. Without a generator nothing
    is random, and the image stays whole.

    Args:
        crop_size: width and height of the window.
        base_size: length of the long side at scale 1, in pixels.
        scale: smallest and largest factor, drawn in steps of a tenth. (The papers say 0.5 to 2; the code goes to 2.1.)
        flip: probability of mirroring; mirrored classes (left arm, right arm) then change places.
        squash: width and height that every image is brought to first, whatever its aspect (LIP); None keeps it.
        brightness: largest shift of all three channels, of 255.
        contrast: largest relative change of contrast.
        saturation: largest relative change of the distance from grey.

    Raises:
        ValueError: the largest scale is below the smallest.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        base_size: int,
        scale: tuple[float, float] = (0.5, 2.1),
        flip: float = 0.5,
        squash: tuple[int, int] | None = None,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
    ):
        if scale[0] > scale[1]:
            raise ValueError(f"ScaleCropFlip: scale is (smallest, largest), got {tuple(scale)}")
        self.crop_size = tuple(crop_size)
        self.base_size = base_size
        self.scale = tuple(scale)
        self.flip = flip
        self.squash = squash
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation

    def __call__(
        self, image: np.ndarray, label: np.ndarray | None, classes: ClassSet, rng: np.random.Generator | None = None
    ) -> dict:
        """Cut one window.

        Args:
            image: RGB uint8 [H, W, 3].
            label: class indices uint8 [H, W].
            classes: tell which of them are mirror partners.
            rng: draws the augmentation; None keeps the whole image.

        Returns:
            `image` uint8 [h, w, 3] and `label` uint8 [h, w]; for a whole image what `WholeImage` gives.
        """
        if rng is None:
            return WholeImage(squash=self.squash)(image, label, classes)
        smallest, largest = self.scale
        steps = round((largest - smallest) * 10)
        scale = smallest + rng.integers(steps + 1) / 10
        full_width, full_height = scale_size(self.squash or image.shape[1::-1], self.base_size * scale)
        width, height = min(self.crop_size[0], full_width), min(self.crop_size[1], full_height)
        left, top = rng.integers(full_width - width + 1), rng.integers(full_height - height + 1)
        mirror = rng.random() < self.flip

        # Scaled pixels of the window, mirrored or not, as affine functions of its own.
        column, step = (left + width - 1, -1) if mirror else (left, 1)
        factor_x, factor_y = image.shape[1] / full_width, image.shape[0] / full_height
        to_image = np.array(
            [[step * factor_x, 0, (column + 0.5) * factor_x - 0.5], [0, factor_y, (top + 0.5) * factor_y - 0.5]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        window = cv2.warpAffine(image, to_image, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        columns = (column + step * np.arange(width)) * image.shape[1] // full_width
        rows = (top + np.arange(height)) * image.shape[0] // full_height
        labels = label[rows[:, None], columns]
        if mirror and classes.mirrored:
            order = np.arange(256, dtype=np.uint8)
            order[: len(classes.names)] = classes.flip_order()
            labels = order[labels]
        padding = self.crop_size[1] - height, self.crop_size[0] - width
        return {
            "image": pad_image(self._change_colors(window, rng), padding, (0, 0, 0)),
            "label": np.pad(labels, [(0, padding[0]), (0, padding[1])], constant_values=IGNORED),
        }

    def _change_colors(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Saturation, then contrast, then brightness: one affine function of the three channels."""
        if not (self.brightness or self.contrast or self.saturation):
            return image
        shift, contrast, saturation = rng.uniform(-1, 1, 3) * (255 * self.brightness, self.contrast, self.saturation)
        to_grey = np.tile(LUMA, (3, 1))
        matrix = (1 + contrast) * (to_grey + (1 + saturation) * (np.eye(3) - to_grey))
        return cv2.transform(image, np.column_stack([matrix, np.full(3, shift)]))


@TRANSFORMS.register_module()
class WholeImage:
    """Bring a whole image to the size at which it is tested; what is added at the bottom and the right is cut later.

    Args:
        short_side: length of the shorter side; None keeps the image's size.
        squash: width and height, whatever the aspect (LIP).
        multiple: pad both sides with the mean colour to multiples of this.
        crop_padding: cut the padding off the prediction. The official ADE20K evaluation does not, and squeezes the
            padded map onto the image.

    Raises:
        ValueError: both `short_side` and `squash` are given.
    """

    def __init__(
        self,
        short_side: int | None = None,
        squash: tuple[int, int] | None = None,
        multiple: int = 1,
        crop_padding: bool = True,
    ):
        if short_side is not None and squash is not None:
            raise ValueError("WholeImage: give short_side or squash, not both")
        self.short_side = short_side
        self.squash = squash
        self.multiple = multiple
        self.crop_padding = crop_padding

    def __call__(
        self, image: np.ndarray, label: np.ndarray | None, classes: ClassSet, rng: np.random.Generator | None = None
    ) -> dict:
        """Resize and pad; nothing is random.

        Args:
            image: RGB uint8 [H, W, 3].
            label: class indices uint8 [H, W], or None where there are none; handed on as it is.
            classes: not used.
            rng: not used.

        Returns:
            `image` uint8 [h, w, 3], `label`, and `padding`, the rows and columns to be cut off predictions.
        """
        size = image.shape[1::-1]
        if self.squash is not None:
            size = tuple(self.squash)
        elif self.short_side is not None:
            size = _resize_sides(size, self.short_side, short=True)
        if size != image.shape[1::-1]:
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        padding = -size[1] % self.multiple, -size[0] % self.multiple
        image = pad_image(image, padding, MEAN_COLOR)
        return {"image": image, "label": label, "padding": padding if self.crop_padding else (0, 0)}


def scale_size(size: tuple[int, int], long_side: float) -> tuple[int, int]:
    """Width and height after the long side is brought to floor(long_side + 0.5) and the other one follows.

    Args:
        size: width and height before.
        long_side: in pixels, need not be whole.
    """
    return _resize_sides(size, int(long_side + 0.5), short=False)


def pad_image(image: np.ndarray, padding: tuple[int, int], color: tuple[int, int, int]) -> np.ndarray:
    """Add rows at the bottom and columns at the right, `padding` of each."""
    if padding == (0, 0):
        return image
    return cv2.copyMakeBorder(image, 0, padding[0], 0, padding[1], cv2.BORDER_CONSTANT, value=color)


def _resize_sides(size: tuple[int, int], length: int, short: bool) -> tuple[int, int]:
    """Bring the short or the long side to `length`; of equal sides the width leads."""
    width, height = size
    height_leads = height < width if short else height > width
    if height_leads:
        return max(int(width * length / height + 0.5), 1), length
    return length, max(int(height * length / width + 0.5), 1)
