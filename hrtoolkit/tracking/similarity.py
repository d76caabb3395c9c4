"""How far boxes overlap; how alike poses are says `hrtoolkit.runtime.oks.oks_between`."""

from __future__ import annotations

import numpy as np
from numpy import ndarray


def box_iou(boxes: ndarray, others: ndarray) -> ndarray:
    """Intersection over union [...] of boxes and other boxes; 0 where a box has no area, or is not finite.

    Args:
        boxes: [..., 4], x1, y1, x2, y2.
        others: [..., 4]; leading dimensions broadcast.
    """
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    union = box_areas(boxes) + box_areas(others) - shared
    return np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)


def box_areas(boxes: ndarray) -> ndarray:
    """Areas [...] of boxes [..., 4]."""
    return np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(axis=-1)
