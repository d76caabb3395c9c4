"""From a person or face in an image to the network's input: one affine warp, augmentation included."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from hrtoolkit import geometry
from hrtoolkit.structures import KeypointLayout


class Window(NamedTuple):
    """What is cut out of an image, and how."""

    center: np.ndarray  # [2] (x, y) in image pixels
    size: np.ndarray  # [2] width and height in image pixels
    angle: float = 0.0  # degrees, counter-clockwise
    mirror: bool = False


class AffineCrop:
    """Cut one window out of an image by one matrix; a subclass draws the augmentation.

    Args:
        input_size: width and height of the network input.
        scale: how far the window's size varies.
        rotation: how far the angle varies, in degrees.
        rotate: probability of rotating at all.
        flip: probability of mirroring.
        unbiased: cut by the unit-distance convention, for `UDPHeatmap`.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        scale: float,
        rotation: float,
        rotate: float,
        flip: float,
        unbiased: bool = False,
    ):
        self.input_size = tuple(input_size)
        self.scale = scale
        self.rotation = rotation
        self.rotate = rotate
        self.flip = flip
        self.unbiased = unbiased

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
        """Warp one person.

        Args:
            image: RGB uint8 [H, W, 3].
            center: [2] (x, y) of the person's window in image pixels.
            size: [2] its width and height, padded; grown here to the input's aspect.
            keypoints: [K, 2] (x, y) in image pixels.
            visible: [K], above 0 where a keypoint is labelled.
            layout: of the keypoints.
            rng: draws the augmentation; None for none.

        Returns:
            `image` uint8 [h, w, 3], `keypoints` [K, 2] float32 in input pixels, `visible` [K] float32, `matrix` [2, 3]
            (image to input pixels) and `area`, of the window in image pixels before augmentation.
        """
        size = geometry.grow_to_aspect(np.asarray(size, dtype=np.float64), self.input_size[0] / self.input_size[1])
        window = Window(center, size)
        if rng is not None:
            window = self.augment(window, keypoints, visible, layout, rng)
        mirror_width = None
        if window.mirror:
            mirror_width = self.mirror_width(image)
            window = window._replace(center=np.array([mirror_width - 1 - window.center[0], window.center[1]]))
            order = layout.flip_order()
            keypoints, visible = keypoints[order], visible[order]
        matrix = geometry.crop_matrix(
            window.center, window.size, self.input_size, window.angle, mirror_width, self.unbiased
        )
        return {
            "image": self.crop(image, window, matrix),
            "keypoints": geometry.transform_points(keypoints, matrix).astype(np.float32),
            "visible": (visible > 0).astype(np.float32),
            "matrix": matrix,
            "area": float(size.prod()),
        }

    def augment(
        self,
        window: Window,
        keypoints: np.ndarray,
        visible: np.ndarray,
        layout: KeypointLayout,
        rng: np.random.Generator,
    ) -> Window:
        """Draw another window, in pixels of the image as it is.

        Args:
            window: around the person, of the input's aspect.
            keypoints: [K, 2] (x, y) in image pixels.
            visible: [K], above 0 where a keypoint is labelled.
            layout: of the keypoints.
            rng: draws everything random.
        """
        raise NotImplementedError

    def mirror_width(self, image: np.ndarray) -> int:
        """Width of the image that points are mirrored in."""
        return image.shape[1]

    def crop(self, image: np.ndarray, window: Window, matrix: np.ndarray) -> np.ndarray:
        """The pixels of a window, uint8 [h, w, 3].

        Args:
            image: RGB uint8 [H, W, 3].
            window: its centre lies in the mirrored image where it is mirrored.
            matrix: [2, 3], all of it in one.
        """
        return cv2.warpAffine(image, matrix, self.input_size, flags=cv2.INTER_LINEAR)
