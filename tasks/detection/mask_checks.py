"""Whether masks lie where their boxes are; what most of them have wrong has one cause."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.findings import Findings
from hrtoolkit.masks import RUN_LENGTHS, PackedSegmentations, find_extent, read_counts

SAMPLED = 2000  # masks that are looked at for the cause
APART = 0.1  # overlap of a mask's extent with its box below which they are two things
ALIKE = 0.7  # and from which on they are the same; in COCO 2017 the least is 0.94


class AnnotatedMasks(NamedTuple):
    """Masks of A annotated objects."""

    states: ndarray  # [A] of `inspect_segmentation`
    extents: ndarray  # [A, 4] x1, y1, x2, y2 around them; NaN where there is nothing, or it is damaged
    segmentations: PackedSegmentations  # A
    places: ndarray  # [A] in them

    def select(self, chosen: ndarray) -> AnnotatedMasks:
        """Those at some positions."""
        return self._replace(states=self.states[chosen], extents=self.extents[chosen], places=self.places[chosen])


def check_written_masks(
    masks: AnnotatedMasks, boxes_xyxy: ndarray, image_wh: ndarray, names: ndarray, findings: Findings
) -> None:
    """Find masks that lie in their boxes when they are read in another way, and in that way alone.

    Args:
        masks: of N single objects.
        boxes_xyxy: [N, 4] finite and with extent.
        image_wh: [N, 2] of their images.
        names: [N] what messages call them.
        findings: gets what is wrong.
    """
    known = np.flatnonzero(np.isfinite(masks.extents).all(axis=1))
    masks, boxes_xyxy, image_wh, names = masks.select(known), boxes_xyxy[known], image_wh[known], names[known]
    differ = _overlap(masks.extents, _clip(boxes_xyxy, image_wh)) < ALIKE
    if not len(names) or differ.mean() <= 0.5:
        return
    for what, (extents, remedy) in _read_otherwise(masks, boxes_xyxy, image_wh).items():
        if np.mean(_overlap(extents, boxes_xyxy[: len(extents)]) >= ALIKE) >= 0.8:
            findings.add("stop", f"masks that fit their boxes only when read as {what}", names[differ], remedy)
            return


def check_apart(extents: ndarray, boxes_xyxy: ndarray, image_wh: ndarray, names: ndarray, findings: Findings) -> None:
    """Find masks outside their boxes; most of them stop.

    Args:
        extents: [N, 4] x1, y1, x2, y2 around the masks; NaN where there is none.
        boxes_xyxy: [N, 4] finite and with extent.
        image_wh: [N, 2] of their images.
        names: [N] what messages call them.
        findings: gets what is wrong.
    """
    known = np.isfinite(extents).all(axis=1)
    apart = known & (_overlap(extents, _clip(boxes_xyxy, image_wh)) < APART)
    most = apart.sum() > 0.5 * known.sum()
    remedy = "they contradict each other; correct whichever is wrong (tools/browse_data.py shows both)"
    findings.add("stop" if most else "warning", "masks that lie elsewhere than their boxes", names[apart], remedy)


def _read_otherwise(masks: AnnotatedMasks, boxes_xyxy: ndarray, image_wh: ndarray) -> dict[str, tuple[ndarray, str]]:
    """Extents of the first masks read in other ways, and what to do about it."""
    first = slice(0, SAMPLED)
    extents, whole = masks.extents[first], np.tile(image_wh[first], 2)
    return {
        "y, x": (extents[:, [1, 0, 3, 2]], "write polygons as x, y, x, y, ... and boxes as left, top, width, height"),
        "fractions of the image": (extents * whole, "write pixels: multiply them by the image's width and height"),
        "percent of the image": (extents * whole / 100, "write pixels"),
        "counted from the corner of the box": (
            extents + np.tile(boxes_xyxy[first, :2], 2),
            "count from the corner of the image",
        ),
        "run lengths along rows": (
            _extents_by_rows(masks, image_wh),
            "COCO's run lengths go down the columns: encode the masks with pycocotools",
        ),
    }


def _extents_by_rows(masks: AnnotatedMasks, image_wh: ndarray) -> ndarray:
    """x1, y1, x2, y2 of the first run lengths if they went along rows; NaN of polygons."""
    extents = np.full((min(len(masks.places), SAMPLED), 4), np.nan)
    for i in np.flatnonzero(masks.states[:SAMPLED] == RUN_LENGTHS).tolist():
        segmentation = masks.segmentations[masks.places[i]]
        counts = read_counts(segmentation["counts"]) if isinstance(segmentation, dict) else None
        assert counts is not None, "they were looked at"
        y1, x1, y2, x2 = find_extent(counts, int(image_wh[i, 0]))
        extents[i] = x1, y1, x2, y2
    return extents


def _clip(boxes_xyxy: ndarray, image_wh: ndarray) -> ndarray:
    return np.clip(boxes_xyxy, 0, np.tile(image_wh, 2))


def _overlap(first: ndarray, second: ndarray) -> ndarray:
    """Intersection over union of boxes [N, 4] side by side; 0 where one is NaN or has no extent."""
    with np.errstate(invalid="ignore", divide="ignore"):
        sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
        shared = np.maximum(sides, 0).prod(axis=1)
        areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
        return np.nan_to_num(shared / (areas[0] + areas[1] - shared))
