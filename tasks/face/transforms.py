"""From a face in an image to the network's input: one affine warp, or the official code's crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from hrtoolkit import geometry
from hrtoolkit.registry import TRANSFORMS
from hrtoolkit.structures import KeypointLayout


class Augmentation(NamedTuple):
    """What is drawn for one face."""

    factor: float = 1.0  # on the size of the window
    angle: float = 0.0  # degrees, counter-clockwise
    mirror: bool = False


@TRANSFORMS.register_module()
class FaceAffine:
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
        self.input_size = tuple(input_size)
        self.scale = scale
        self.rotation = rotation
        self.rotate = rotate
        self.flip = flip
        self.contrast_stretch = contrast_stretch

    def __call__(
        self,
        image: np.ndarray,
        center: np.ndarray,
        size: np.ndarray,
        keypoints: np.ndarray,
        visible: np.ndarray,
        layout: KeypointLayout,
        rng: np.random.Generator | None = None,
    ) -> dict:
        """Warp one face.

        Args:
            image: RGB uint8 [H, W, 3].
            center: [2] (x, y) of the face's window in image pixels.
            size: [2] its width and height, padded; grown here to the input's aspect.
            keypoints: [K, 2] (x, y) in image pixels.
            visible: [K], above 0 where a landmark is labelled.
            layout: of the landmarks.
            rng: draws the augmentation; None for none.

        Returns:
            `image` uint8 [h, w, 3], `keypoints` [K, 2] float32 in input pixels, `visible` [K] float32, `matrix` [2, 3]
            (image to input pixels) and `area`, of the window in image pixels.
        """
        size = geometry.grow_to_aspect(np.asarray(size, np.float64), self.input_size[0] / self.input_size[1])
        area = float(size.prod())
        drawn = Augmentation() if rng is None else self.draw(rng.random)
        mirror_width = None
        if drawn.mirror:
            mirror_width = self.mirror_width(image)
            center = np.array([mirror_width - 1 - center[0], center[1]])
            order = layout.flip_order()
            keypoints, visible = keypoints[order], visible[order]
        size = size * drawn.factor
        matrix = geometry.crop_matrix(center, size, self.input_size, drawn.angle, mirror_width)
        return {
            "image": self.crop(image, center, size, drawn, matrix),
            "keypoints": geometry.transform_points(keypoints, matrix).astype(np.float32),
            "visible": (visible > 0).astype(np.float32),
            "matrix": matrix,
            "area": area,
        }

    def draw(self, uniform: Callable[[], float]) -> Augmentation:
        """Draw an augmentation from numbers in [0, 1), in the order of the original."""
        factor = 1 - self.scale + 2 * self.scale * uniform()
        angle = self.rotation * (2 * uniform() - 1) if uniform() <= self.rotate else 0.0
        return Augmentation(factor, angle, uniform() <= self.flip)

    def mirror_width(self, image: np.ndarray) -> int:
        """Width of the image that points are mirrored in."""
        return image.shape[1]

    def crop(
        self, image: np.ndarray, center: np.ndarray, size: np.ndarray, drawn: Augmentation, matrix: np.ndarray
    ) -> np.ndarray:
        """The pixels of the window, uint8 [h, w, 3].

        Args:
            image: RGB uint8 [H, W, 3].
            center: [2] of the window, in the mirrored image where it is mirrored.
            size: [2] of the window.
            drawn: angle and mirroring.
            matrix: [2, 3], all of it in one.
        """
        crop = cv2.warpAffine(image, matrix, self.input_size, flags=cv2.INTER_LINEAR)
        return stretch_contrast(crop) if self.contrast_stretch else crop


@TRANSFORMS.register_module()
class OfficialFaceCrop(FaceAffine):
    """The crop of the official face code, bit for bit: what its released weights were trained on.

    It differs from one warp: a window of whole pixels is resized by Pillow, which averages where it shrinks; for faces
    of more than twice the input's size the whole image is shrunk first; rotation is about the middle of that window;
    mirrored landmarks are a pixel off; landmarks above the image are not drawn; and contrast is stretched.

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
        return super().__call__(image, center, size, keypoints, visible * (keypoints[:, 1] > 0), layout, rng)

    def mirror_width(self, image: np.ndarray) -> int:
        return image.shape[1] + 1

    def crop(
        self, image: np.ndarray, center: np.ndarray, size: np.ndarray, drawn: Augmentation, matrix: np.ndarray
    ) -> np.ndarray:
        side = self.input_size[0]
        pixels = (image[:, ::-1] if drawn.mirror else image).astype(np.float32)
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
        if drawn.angle:
            extent = end - first
            pad = int(np.linalg.norm(extent) / 2 - extent[1] / 2)
            first, end = first - pad, end + pad
        window = _cut(pixels, first, end)
        if drawn.angle:
            turned = self._to_picture(window).rotate(drawn.angle, Image.BILINEAR)
            picture = turned.crop((pad, pad, turned.width - pad, turned.height - pad))
        else:
            picture = self._to_picture(window)
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
