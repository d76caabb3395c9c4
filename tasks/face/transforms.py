"""From a face in an image to the network's input: one affine warp, or the official code's crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from hrtoolkit import geometry
from hrtoolkit.data.crops import AffineCrop, Window
from hrtoolkit.registry import TRANSFORMS
from hrtoolkit.structures import KeypointLayout

FAR_AWAY = -1e5  # pixels


class Augmentation(NamedTuple):
    """What is drawn for one face."""

    factor: float  # on the size of the window
    angle: float  # degrees, counter-clockwise
    mirror: bool


@TRANSFORMS.register_module()
class FaceAffine(AffineCrop):
    """Cut one face out of an image by one affine warp, with the augmentation of the official face code folded in.

    arXiv:1908.07919, appendix. Without a generator nothing is random.

    Args:
        input_size: width and height of the network input.
        scale: largest deviation of the factor on the window's size from 1, uniform.
        rotation: largest angle in degrees, uniform.
        rotate: probability of rotating at all.
        flip: probability of mirroring.
        contrast_stretch: stretch each crop's values to 0..255, see `stretch_contrast`.
    """

    def __init__(
        self,
        input_size: tuple[int, int] = (256, 256),
        scale: float = 0.0,
        rotation: float = 0.0,
        rotate: float = 0.6,
        flip: float = 0.0,
        contrast_stretch: bool = False,
    ):
        super().__init__(input_size, scale, rotation, rotate, flip)
        self.contrast_stretch = contrast_stretch

    def augment(
        self,
        window: Window,
        keypoints: np.ndarray,
        visible: np.ndarray,
        layout: KeypointLayout,
        rng: np.random.Generator,
    ) -> Window:
        drawn = self.draw(rng.random)
        return Window(window.center, window.size * drawn.factor, drawn.angle, drawn.mirror)

    def draw(self, uniform: Callable[[], float]) -> Augmentation:
        """Draw an augmentation from numbers in [0, 1), in the order of the original."""
        factor = 1 - self.scale + 2 * self.scale * uniform()
        angle = self.rotation * (2 * uniform() - 1) if uniform() <= self.rotate else 0.0
        return Augmentation(factor, angle, uniform() <= self.flip)

    def crop(self, image: np.ndarray, window: Window, matrix: np.ndarray) -> np.ndarray:
        crop = super().crop(image, window, matrix)
        return stretch_contrast(crop) if self.contrast_stretch else crop


@TRANSFORMS.register_module()
class OfficialFaceCrop(FaceAffine):
    """The crop of the official face code, bit for bit: what its released weights were trained on.

    It differs from one warp: a window of whole pixels is resized by Pillow, which averages where it shrinks; for faces
    of more than twice the input's size the whole image is shrunk first; rotation is about the middle of that window;
    mirrored landmarks are a pixel off; landmarks above the image are moved off the input; and contrast is stretched.

    Args:
        input_size: width and height of the network input; the original knows squares alone.
        scale: see `FaceAffine`.
        rotation: see `FaceAffine`.
        rotate: see `FaceAffine`.
        flip: see `FaceAffine`.
        contrast_stretch: on in the original, which calls a resize that does it unasked.

    Raises:
        ValueError: the input is not square.
    """

    def __init__(
        self,
        input_size: tuple[int, int] = (256, 256),
        scale: float = 0.0,
        rotation: float = 0.0,
        rotate: float = 0.6,
        flip: float = 0.0,
        contrast_stretch: bool = True,
    ):
        super().__init__(input_size, scale, rotation, rotate, flip, contrast_stretch)
        if self.input_size[0] != self.input_size[1]:
            raise ValueError(f"OfficialFaceCrop: input_size is {self.input_size}, expected a square")

    def __call__(self, image, center, size, keypoints, visible, layout, rng=None) -> dict:
        # Far off any input they are drawn as nothing, and still count in the loss.
        keypoints = np.where(keypoints[:, 1:] > 0, keypoints, FAR_AWAY)
        return super().__call__(image, center, size, keypoints, visible, layout, rng)

    def mirror_width(self, image: np.ndarray) -> int:
        return image.shape[1] + 1

    def crop(self, image: np.ndarray, window: Window, matrix: np.ndarray) -> np.ndarray:
        center, size, angle, mirror = window
        side = self.input_size[0]
        pixels = (image[:, ::-1] if mirror else image).astype(np.float32)
        shrink = size[0] / side
        if shrink >= 2:
            height, width = (int(length / shrink) for length in pixels.shape[:2])
            if max(height, width) < 2:
                return np.zeros((side, side, 3), np.uint8)
            pixels = np.asarray(self._to_picture(pixels).resize((max(width, 1), max(height, 1)), Image.BILINEAR))
            center, size = center / shrink, size / shrink
        # Two corners of the input, at -1 and at its last pixel, in whole pixels of the image.
        to_image = geometry.invert_affine(geometry.crop_matrix(center, size, self.input_size))
        corners = geometry.transform_points(np.array([[-1.0, -1.0], [side - 1.0, side - 1.0]]), to_image)
        first, end = np.trunc(corners).astype(int) + 1
        pad = 0
        if angle:
            extent = end - first
            pad = int(np.linalg.norm(extent) / 2 - extent[1] / 2)
            first, end = first - pad, end + pad
        cut = _cut(pixels, first, end)
        if angle:
            turned = self._to_picture(cut).rotate(angle, Image.BILINEAR)
            picture = turned.crop((pad, pad, turned.width - pad, turned.height - pad))
        else:
            picture = self._to_picture(cut)
        return np.asarray(picture.resize(self.input_size, Image.BILINEAR))

    def _to_picture(self, pixels: np.ndarray) -> Image.Image:
        if self.contrast_stretch:
            return Image.fromarray(stretch_contrast(pixels))
        return Image.fromarray(np.floor(pixels + 0.5).astype(np.uint8))


def stretch_contrast(pixels: np.ndarray) -> np.ndarray:
    """Spread values [H, W, 3] over 0..255, all channels alike, as uint8; a constant crop becomes black."""
    pixels = pixels.astype(np.float32)
    low, high = pixels.min(), pixels.max()
    factor = np.float32(255) / (high - low) if high > low else np.float32(1)
    return (((pixels - low) * factor).clip(0, 255) + np.float32(0.5)).astype(np.uint8)


def _cut(pixels: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The window from `first` to before `end` (x, y) of pixels [H, W, 3], black outside, at least a pixel large."""
    width, height = np.maximum(end - first, 1)
    window = np.zeros((height, width, 3), np.float32)
    left, top = np.maximum(first, 0)
    right, bottom = np.minimum(end, pixels.shape[1::-1])
    if left < right and top < bottom:
        x, y = left - first[0], top - first[1]
        window[y : y + bottom - top, x : x + right - left] = pixels[top:bottom, left:right]
    return window
