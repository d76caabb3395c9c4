"""How alike people are, each of one set to each of another: overlap of boxes, and similarity of poses."""

from __future__ import annotations

import numpy as np
from numpy import ndarray


def box_iou(boxes: ndarray, others: ndarray) -> ndarray:
    """Intersection over union [N, M] of boxes [N, 4] and [M, 4] (x1, y1, x2, y2); 0 where a box has no area."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    areas, other_areas = (np.maximum(some[:, 2:] - some[:, :2], 0).prod(axis=-1) for some in (boxes, others))
    union = areas[:, None] + other_areas - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0)
