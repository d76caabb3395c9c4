"""Boxes, crops as 2x3 matrices, and points mapped through them. NumPy, batched over leading dimensions.

Convention: points are (x, y) in pixels with pixel centres on integers; matrices map image pixels to crop pixels;
angles are degrees, positive turns the content counter-clockwise on screen.
"""

from __future__ import annotations

import numpy as np


def to_xyxy(boxes_xywh: np.ndarray) -> np.ndarray:
    """Boxes [N, 4] (left, top, width, height) as x1, y1, x2, y2."""
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def to_xywh(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Boxes [N, 4] (x1, y1, x2, y2) as left, top, width, height."""
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def box_to_center(boxes_xywh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split boxes [..., 4] (left, top, width, height) into centres [..., 2] and sizes [..., 2] (width, height)."""
    return boxes_xywh[..., :2] + boxes_xywh[..., 2:] / 2, boxes_xywh[..., 2:]


def grow_to_aspect(sizes: np.ndarray, aspect: float) -> np.ndarray:
    """Enlarge the shorter side of sizes [..., 2] (width, height) until width / height is `aspect`."""
    width, height = sizes[..., 0], sizes[..., 1]
    return np.stack([np.maximum(width, height * aspect), np.maximum(height, width / aspect)], axis=-1)


def clip_boxes(boxes_xywh: np.ndarray, image_wh: np.ndarray) -> np.ndarray:
    """Clip boxes to their images by the rule of the official pose code (Xiao et al., ECCV 2018).

    Convention: the last pixel of a box is included, so a box that lies inside loses one pixel of width and height;
    one with a negative corner keeps its size and moves. Boxes that end up without extent have a side <= 0.

    Args:
        boxes_xywh: [N, 4].
        image_wh: [N, 2] or [2], width and height of the image of each box.
    """
    first = np.maximum(boxes_xywh[:, :2], 0)
    last = np.minimum(image_wh - 1, first + np.maximum(boxes_xywh[:, 2:] - 1, 0))
    return np.concatenate([first, last - first], axis=1)


def crop_matrix(
    center: np.ndarray,
    size: np.ndarray,
    output_wh: tuple[int, int],
    angle: float = 0.0,
    mirror_width: int | None = None,
    unbiased: bool = False,
) -> np.ndarray:
    """Map the window of `size` around `center` onto a crop: rotation, scale, translation and mirroring in one matrix.

    Convention: as in the official pose code, sizes are numbers of pixels and one factor, crop width / window width,
    serves both axes. `unbiased` measures from first to last pixel centre instead, each axis for itself (UDP, Huang et
    al., CVPR 2020, arXiv:1911.07524).

    Args:
        center: [2], in image pixels.
        size: [2], width and height of the window in image pixels.
        output_wh: width and height of the crop.
        angle: degrees, counter-clockwise.
        mirror_width: width of the image, to mirror it first; `center` is then given in the mirrored image.
        unbiased: the UDP convention.

    Returns:
        [2, 3] float64, image pixels to crop pixels.
    """
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rotation = np.array([[cos, sin], [-sin, cos]])
    output = np.asarray(output_wh, dtype=np.float64)
    size = np.asarray(size, dtype=np.float64)
    if unbiased:
        factors = (output - 1) / size
        middle = factors * size / 2
        linear = factors[:, None] * rotation
    else:
        middle = output / 2
        linear = output[0] / size[0] * rotation
    matrix = np.empty((2, 3))
    matrix[:, :2] = linear
    matrix[:, 2] = middle - linear @ np.asarray(center, dtype=np.float64)
    if mirror_width is not None:
        mirror = np.array([[-1.0, 0.0, mirror_width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        matrix = matrix @ mirror
    return matrix


def invert_affine(matrices: np.ndarray) -> np.ndarray:
    """Invert affine matrices [..., 2, 3]."""
    linear = np.linalg.inv(matrices[..., :2])
    return np.concatenate([linear, -linear @ matrices[..., 2:]], axis=-1)


def transform_points(points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Map points [..., N, 2] through affine matrices [..., 2, 3]."""
    return points @ matrices[..., :2].swapaxes(-1, -2) + matrices[..., None, :, 2]


def surround_boxes(boxes_xyxy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes [N, 4] around what a matrix [2, 3] of pixel centres makes of boxes [N, 4]."""
    first, end = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    middle = transform_points((first + end - 1) / 2, matrix) + 0.5
    reach = (end - first) / 2 @ np.abs(matrix[:, :2]).T
    return np.concatenate([middle - reach, middle + reach], axis=1)
