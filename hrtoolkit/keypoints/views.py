"""From a person or face in an image to the network's input: one affine warp (Xiao et al., ECCV 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Size, Warp
from hrtoolkit.ranges import Count, Positive
from hrtoolkit.registry import VIEWS
from hrtoolkit.runtime import geometry
from hrtoolkit.runtime.views import stretch_contrast
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD, BaseView, Crop

PADDING = 1.25  # of a window, in the official protocols of pose and face


class WindowCrops(Sequence[Crop]):
    """The crops of N windows, each made when it is asked for: those of a million people take little memory.

    Args:
        centers: [N, 2] float32.
        sizes: [N, 2] float32, padded, not yet of the input's aspect.
        boxes_xyxy: [N, 4].
        scores: [N].
        aspect: width / height of the input.
    """

    def __init__(self, centers: ndarray, sizes: ndarray, boxes_xyxy: ndarray, scores: ndarray, aspect: float):
        self.centers, self.sizes, self.boxes_xyxy, self.scores, self.aspect = centers, sizes, boxes_xyxy, scores, aspect

    def __len__(self) -> int:
        return len(self.centers)

    def __getitem__(self, index: int) -> Crop:  # type: ignore[override]  # nobody asks for slices
        width, height = self.sizes[index].tolist()
        width, height = max(width, height * self.aspect), max(height, width / self.aspect)
        return Crop(
            center=self.centers[index].astype(np.float64),
            size=np.array([width, height]),
            box_xyxy=self.boxes_xyxy[index],
            score=self.scores[index].item(),
            area=width * height,
        )


@VIEWS.register_module()
class TopDown(BaseView):
    """Cut one person or face out of an image by one matrix: rotation, scale, translation and mirroring.

    Args:
        input_size: width and height of the network input.
        padding: factor on a window's width and height, before they are grown to the input's aspect.
        contrast_stretch: stretch each crop's values to 0..255, see `stretch_contrast`.
        unbiased: cut by the unit-distance convention, which codecs such as `UDPHeatmap` ask for.
        mean: of each RGB channel, 0..255.
        std: of each RGB channel.

    Raises:
        OptionError: the input size is not two numbers above 0.
    """

    told: tuple[str, ...] = ("unbiased",)
    frame: type[Warp] = Warp
    mirror_offset = 0  # the width of the image that points are mirrored in, less its true width

    def __init__(
        self,
        *,
        input_size: tuple[Count, Count] = (192, 256),
        padding: Positive = PADDING,
        contrast_stretch: bool = False,
        unbiased: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__(mean, std)
        if len(input_size) != 2 or min(input_size) <= 0:
            raise OptionError(f"input_size is width and height, got {input_size}")
        width, height = input_size
        self.input_size = (width, height)
        self.padding = padding
        self.contrast_stretch = contrast_stretch
        self.unbiased = unbiased

    @property
    def input_hw(self) -> Size:
        width, height = self.input_size
        return height, width

    @property
    def aspect(self) -> float:
        """Width / height of the input."""
        return self.input_size[0] / self.input_size[1]

    def crops(self, windows_xywh: ndarray, boxes_xyxy: ndarray, scores: ndarray) -> WindowCrops:
        centers, sizes = geometry.box_to_center(windows_xywh)
        sizes = (sizes * self.padding).astype(np.float32)
        return WindowCrops(centers.astype(np.float32), sizes, boxes_xyxy, scores, self.aspect)

    def __call__(self, image: ndarray, ask: Crop | None = None) -> tuple[ndarray, Warp]:
        assert ask is not None, "the whole image is never looked at"
        mirror_width = None
        if ask.mirror:
            mirror_width = image.shape[1] + self.mirror_offset
            ask = ask._replace(center=np.array([mirror_width - 1 - ask.center[0], ask.center[1]]))
        matrix = geometry.crop_matrix(ask.center, ask.size, self.input_size, ask.angle, mirror_width, self.unbiased)
        frame = self.frame(
            image_hw=image.shape[:2],
            input_hw=self.input_hw,
            mirror=ask.mirror,
            matrix=matrix,
            box_xyxy=ask.box_xyxy,
            score=ask.score,
            area=ask.area,
        )
        return self.cut(image, ask, matrix), frame

    def cut(self, image: ndarray, crop: Crop, matrix: ndarray) -> ndarray:
        """The pixels of a crop, uint8 [h, w, 3].

        Args:
            image: RGB uint8 [H, W, 3].
            crop: its centre lies in the mirrored image where it is mirrored.
            matrix: [2, 3], image to input pixels, all of the crop in one.
        """
        pixels = cv2.warpAffine(image, matrix, self.input_size, flags=cv2.INTER_LINEAR)
        return stretch_contrast(pixels) if self.contrast_stretch else pixels
