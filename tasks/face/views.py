"""From a face in an image to the network's input, as the official code crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from PIL import Image

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Warp
from hrtoolkit.keypoints.views import PADDING, TopDown
from hrtoolkit.ranges import Count, Positive
from hrtoolkit.registry import VIEWS
from hrtoolkit.runtime.views import cut_window, official_window, stretch_contrast
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD, Crop

FAR_AWAY = -1e5  # pixels


class OfficialWarp(Warp):
    """As the official face code maps points: those above the image go far off any input.

    There they are drawn as nothing, and still count in the loss.
    """

    def points_to_input(self, points: ndarray) -> ndarray:
        return super().points_to_input(np.where(points[..., 1:] > 0, points, FAR_AWAY))


@VIEWS.register_module()
class OfficialFaceCrop(TopDown):
    """The crop of the official face code, bit for bit: what its released weights were trained on.

    It differs from one warp: a window of whole pixels is resized by Pillow, which averages where it shrinks; for faces
    of more than twice the input's size the whole image is shrunk first; rotation is about the middle of that window;
    mirrored keypoints are a pixel off; keypoints above the image are moved off the input; and contrast is stretched.

    Args:
        input_size: width and height of the network input; the original knows squares only.
        padding: factor on a face's window.
        contrast_stretch: on in the original, which calls a resize that does it unasked.
        mean: of each RGB channel, 0..255.
        std: of each RGB channel.

    Raises:
        OptionError: the input is not square.
    """

    told: tuple[str, ...] = ()
    frame = OfficialWarp
    mirror_offset = 1

    def __init__(
        self,
        *,
        input_size: tuple[Count, Count] = (256, 256),
        padding: Positive = PADDING,
        contrast_stretch: bool = True,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__(input_size=input_size, padding=padding, contrast_stretch=contrast_stretch, mean=mean, std=std)
        if self.input_size[0] != self.input_size[1]:
            raise OptionError(f"OfficialFaceCrop: input_size is {self.input_size}, expected a square")

    def cut(self, image: ndarray, crop: Crop, matrix: ndarray) -> ndarray:
        center, size, angle = crop.center, crop.size, crop.angle
        side = self.input_size[0]
        pixels = (image[:, ::-1] if crop.mirror else image).astype(np.float32)
        shrink = size[0] / side
        if shrink >= 2:
            height, width = (int(length / shrink) for length in pixels.shape[:2])
            if max(height, width) < 2:
                return np.zeros((side, side, 3), np.uint8)
            pixels = np.asarray(
                self._to_picture(pixels).resize((max(width, 1), max(height, 1)), Image.Resampling.BILINEAR)
            )
            center, size = center / shrink, size / shrink
        first, end = official_window(center, size, side)
        pad = 0
        if angle:
            extent = end - first
            pad = int(np.linalg.norm(extent) / 2 - extent[1] / 2)
            first, end = first - pad, end + pad
        picture = self._to_picture(cut_window(pixels, first, end))
        if angle:
            picture = picture.rotate(angle, Image.Resampling.BILINEAR)
            picture = picture.crop((pad, pad, picture.width - pad, picture.height - pad))
        return np.asarray(picture.resize(self.input_size, Image.Resampling.BILINEAR))

    def _to_picture(self, pixels: ndarray) -> Image.Image:
        if self.contrast_stretch:
            return Image.fromarray(stretch_contrast(pixels))
        return Image.fromarray(np.floor(pixels + 0.5).astype(np.uint8))
