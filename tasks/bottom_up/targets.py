"""What all bottom-up heads compare with: the people of an image, and where it counts."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor

from hrtoolkit.frames import Frame, Warp
from hrtoolkit.parts import Listed
from hrtoolkit.records import Objects
from hrtoolkit.runtime.drawing import draw_keypoints
from hrtoolkit.schemes import KeypointScheme

BOX_COLOR = (255, 255, 255)
FAR = 2**14  # pixels; OpenCV's integers would overflow before long


def people_targets(record: Objects, frame: Frame) -> dict[str, ndarray]:
    """The people of an image, as they lie in an input [h, w]; N of them are learnt, and N may be 0.

    Args:
        record: in pixels of the input, as `to_input` gives it: boxes are corners, masks an array.
        frame: of the input.

    Returns:
        `points` [N, K, 2] (x, y) in input pixels and `visible` [N, K], 1 where labelled; `corners` [N, 4, 2] of the
        annotated boxes in input pixels: top left, top right, bottom left, bottom right of the image; `areas` [N] as
        annotated, in square pixels of the image, and `scale` [], by which the input multiplies them; all float32.
        `use` uint8 [h, w], 0 in what is ignored and outside of the image; `mirrored` bool [].
    """
    assert isinstance(frame, Warp) and record.points is not None and record.visible is not None
    assert record.areas is not None, "keypoint files have areas, or those of the boxes"
    learnt = np.ones(len(record.labels), bool) if record.ignored is None else ~record.ignored
    use = frame.inside()
    if record.masks is not None and not learnt.all():
        use[np.asarray(record.masks)[~learnt].any(axis=0)] = 0
    return {
        "points": record.points[learnt],
        "visible": (record.visible[learnt] > 0).astype(np.float32),
        "corners": record.boxes_xyxy[learnt],
        "areas": record.areas[learnt].astype(np.float32),
        "scale": np.array(abs(np.linalg.det(frame.matrix[:, :2])), np.float32),
        "use": use,
        "mirrored": np.array(frame.mirror),
    }


def fit_use(use: Tensor, map_hw: Sequence[int], stride: int = 1) -> Tensor:
    """What counts of a map, [H, W], 0 beyond an input: a cell stands for its first pixel.

    Args:
        use: [h, w] of an input.
        map_hw: rows and columns of the map.
        stride: of the map, in pixels of `use`.
    """
    cells = use[::stride, ::stride]
    return F.pad(cells, (0, map_hw[1] - cells.shape[1], 0, map_hw[0] - cells.shape[0]))


def dim_unused(image: ndarray, use: ndarray, stride: int = 1) -> ndarray:
    """An input without a batch's padding, dark where it does not count, RGB uint8 [stride * h, stride * w, 3].

    Args:
        image: RGB uint8 [H, W, 3].
        use: [h, w], above 0 where it counts.
        stride: of `use`, in pixels.
    """
    use = use.repeat(stride, axis=0).repeat(stride, axis=1)[..., None]
    pixels = image[: len(use), : use.shape[1]]
    return np.ascontiguousarray(np.where(use > 0, pixels, pixels // 4))


def draw_people(images: Tensor, targets: Listed, scheme: KeypointScheme) -> list[ndarray]:
    """Draw `people_targets` over their images: points, boxes, and dark what does not count; RGB uint8 [h, w, 3] each.

    Args:
        images: [B, 3, H, W], 0 to 255.
        targets: of each image.
        scheme: of the points.
    """
    pictures = []
    for image, target in zip(images, targets, strict=True):
        points, visible, corners, use = (target[name].numpy() for name in ("points", "visible", "corners", "use"))
        picture = dim_unused(image.byte().permute(1, 2, 0).numpy(), use)
        for outline in np.rint(corners[:, [0, 1, 3, 2]]).clip(-FAR, FAR).astype(np.int32):
            cv2.polylines(picture, [np.ascontiguousarray(outline)], isClosed=True, color=BOX_COLOR)
        pictures.append(draw_keypoints(picture, points, visible > 0, scheme))
    return pictures
