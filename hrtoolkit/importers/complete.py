"""What an annotation format does not say, derived by one set of rules and counted.

| missing | is taken from |
|---|---|
| box | the outline; else the labelled points, with MARGIN of their extent on each side, and at least SMALLEST of the \
image's longer side, cut at the image's edges |
| area | the mask or polygons; else the box |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_masks

from hrtoolkit.importers.annotated import Instance
from hrtoolkit.importers.shapes import extent_of
from hrtoolkit.masks import to_run_lengths

MARGIN = 0.1
SMALLEST = 1 / 16

BOX_OF_OUTLINE = "boxes taken from outlines"
BOX_OF_POINTS = f"boxes taken from points, with {MARGIN:.0%} of their extent on each side"
SMALLEST_BOX = f"of them grown to 1/{1 / SMALLEST:.0f} of the image's longer side"
AREA_OF_OUTLINE = "areas taken from outlines"
AREA_OF_BOX = "areas taken from boxes"
NOTHING = "objects without a box, a point or an outline, which are left out"


def complete(instance: Instance, size_wh: Sequence[int], told: Counter) -> Instance | None:
    """An instance with box and area; None where it has nothing to take them from.

    Args:
        instance: as read.
        size_wh: of its image.
        told: counts what is derived.
    """
    box: Sequence[float] | np.ndarray | None = instance.box_xyxy
    area = instance.area
    if box is None and (box := _outline_box(instance)) is not None:
        told[BOX_OF_OUTLINE] += 1
    if box is None:
        points = [point[:2] for point in (instance.points or {}).values() if point[2] > 0]
        if not points:
            told[NOTHING] += 1
            return None
        box, grown = box_of_points(np.array(points), size_wh)
        told[BOX_OF_POINTS] += 1
        told[SMALLEST_BOX] += grown
    if area is None and (area := _outline_area(instance, size_wh)) is not None:
        told[AREA_OF_OUTLINE] += 1
    if area is None:
        area = (box[2] - box[0]) * (box[3] - box[1])
        told[AREA_OF_BOX] += 1
    return instance._replace(box_xyxy=[float(value) for value in box], area=float(area))


def box_of_points(points: np.ndarray, size_wh: Sequence[int]) -> tuple[np.ndarray, bool]:
    """A box around points, and whether it was grown to the smallest one.

    Args:
        points: [K, 2], in pixels.
        size_wh: of the image; the box ends at its edges, unless a point lies beyond.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * (high - low)
    smallest = SMALLEST * max(size_wh)
    lacking = np.maximum(smallest - (high - low + 2 * margin), 0)
    box_low, box_high = low - margin - lacking / 2, high + margin + lacking / 2
    box_low = np.minimum(np.maximum(box_low, 0), low)
    box_high = np.maximum(np.minimum(box_high, size_wh), high)
    return np.concatenate([box_low, box_high]), bool(lacking.any())


def _outline_box(instance: Instance) -> Sequence[float] | np.ndarray | None:
    if instance.run_lengths is not None:
        x, y, width, height = coco_masks.toBbox(to_run_lengths(instance.run_lengths, instance.run_lengths["size"]))
        return None if width <= 0 else (x, y, x + width, y + height)
    if instance.polygons:
        return extent_of(instance.polygons)
    return None


def _outline_area(instance: Instance, size_wh: Sequence[int]) -> float | None:
    if instance.run_lengths is not None:
        return float(coco_masks.area(to_run_lengths(instance.run_lengths, instance.run_lengths["size"])))
    if not instance.polygons:
        return None
    if len(instance.polygons) == 1:
        x, y = np.reshape(instance.polygons[0], (-1, 2)).T
        return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
    # Rings may overlap: count pixels.
    return float(coco_masks.area(to_run_lengths([list(ring) for ring in instance.polygons], size_wh[::-1])))
