"""What varies of the faces that are trained on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from hrtoolkit.frames import Size
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.ranges import NotNegative, Share
from hrtoolkit.records import Record
from hrtoolkit.registry import AUGMENTATIONS
from hrtoolkit.schemes import Scheme
from hrtoolkit.views import OLD_TRANSFORMS, BaseAugmentation, Crop, View


class Variation(NamedTuple):
    """How one crop is changed."""

    factor: float  # on the size of the window
    angle: float  # degrees, counter-clockwise
    mirror: bool


@AUGMENTATIONS.register_module()
class FaceAugmentation(BaseAugmentation):
    """The augmentation of the official face code (arXiv:1908.07919, appendix).

    Args:
        scale: largest deviation of the factor on the window's size from 1, uniform.
        rotation: largest angle in degrees, uniform.
        rotate: probability of rotating at all.
        flip: probability of mirroring.
    """

    views = (TopDown,)

    def __init__(
        self, *, scale: NotNegative = 0.0, rotation: NotNegative = 0.0, rotate: Share = 0.6, flip: Share = 0.0
    ):
        self.scale, self.rotation, self.rotate, self.flip = scale, rotation, rotate, flip

    def ask(
        self,
        view: View[Crop],
        image_hw: Size,
        truth: Record,
        crop: Crop | None,
        scheme: Scheme,
        rng: np.random.Generator,
    ) -> Crop:
        assert crop is not None
        chosen = self.sample(rng.random)
        return crop._replace(size=crop.size * chosen.factor, angle=chosen.angle, mirror=chosen.mirror)

    def sample(self, uniform: Callable[[], float]) -> Variation:
        """Choose a variation by numbers in [0, 1), in the order of the original."""
        factor = 1 - self.scale + 2 * self.scale * uniform()
        angle = self.rotation * (2 * uniform() - 1) if uniform() <= self.rotate else 0.0
        return Variation(factor, angle, uniform() <= self.flip)


def _face_crop(options: dict, view: str) -> tuple[dict, dict]:
    of_view = {k: v for k, v in options.items() if k in ("input_size", "contrast_stretch")}
    rest = {k: v for k, v in options.items() if k not in of_view}
    look = {"type": view, "input_size": (256, 256), **of_view}
    return look, {"type": "FaceAugmentation", **rest} if rest else {}


OLD_TRANSFORMS["FaceAffine"] = partial(_face_crop, view="TopDown")
OLD_TRANSFORMS["OfficialFaceCrop"] = partial(_face_crop, view="OfficialFaceCrop")
