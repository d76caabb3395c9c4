"""What varies of the images that are trained on."""

from __future__ import annotations

import numpy as np

from hrtoolkit.frames import Size
from hrtoolkit.ranges import NotNegative, Positive, Share
from hrtoolkit.records import Record
from hrtoolkit.registry import AUGMENTATIONS
from hrtoolkit.schemes import Scheme
from hrtoolkit.tasks.bottom_up.views import ShortSide
from hrtoolkit.views import BaseAugmentation, Crop, View


@AUGMENTATIONS.register_module()
class AffineAugmentation(BaseAugmentation):
    """A square window of an image, of any place, size and angle, as in the official bottom-up code.

    Args:
        scale: smallest and largest side of the window, in short sides of the image.
        rotation: largest angle, in degrees.
        shift: how far the window's centre moves from the image's along x and y, in sides of the window.
        flip: probability of mirroring.
    """

    views = (ShortSide,)

    def __init__(
        self,
        *,
        scale: tuple[Positive, Positive] = (0.75, 1.5),
        rotation: NotNegative = 30.0,
        shift: NotNegative = 0.2,
        flip: Share = 0.5,
    ):
        self.scale = scale
        self.rotation = rotation
        self.shift = shift
        self.flip = flip

    def ask(
        self,
        view: View[Crop],
        image_hw: Size,
        truth: Record,
        crop: Crop | None,
        scheme: Scheme,
        rng: np.random.Generator,
    ) -> Crop:
        side = min(image_hw) * rng.uniform(*self.scale)
        angle = rng.uniform(-self.rotation, self.rotation)
        reach = self.shift * side
        center = np.array(image_hw[::-1]) / 2 + rng.uniform(-reach, reach, 2)
        return Crop(center, np.array([side, side]), angle=angle, mirror=bool(rng.random() < self.flip))
