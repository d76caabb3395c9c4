"""Masks of objects as COCO stores them: polygons or run lengths, drawn when somebody looks (https://cocodataset.org)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy import ndarray
from pycocotools import mask as coco_mask

from hrtoolkit.runtime import masks
from hrtoolkit.runtime.masks import unpack_run_lengths

# Polygons [[x, y, x, y, ...], ...] with pixel i from i to i + 1, of which none is nothing, or run lengths.
Segmentation = list | dict


class Masks(masks.Masks):
    """Masks of N objects in an image, whose `segmentations` are polygons too."""

    __slots__ = ()

    @staticmethod
    def concatenate(several: Sequence[Masks]) -> Masks:
        """Masks of one image side by side."""
        return Masks(several[0].size_hw, [one for masks in several for one in masks.segmentations])

    def run_lengths(self) -> list[dict]:
        """Compressed run lengths of every mask, as json can hold them."""
        return [to_run_lengths(segmentation, self.size_hw) for segmentation in self.segmentations]

    def draw(self, size_hw: tuple[int, int] | None = None, mirror: bool = False) -> ndarray:
        """Rasterise at the image's size or another one: polygons are scaled first, run lengths are resampled.

        Args:
            size_hw: height and width of the result; None takes the image's.
            mirror: whether the result is mirrored.

        Returns:
            uint8 [N, h, w], 0 or 1.
        """
        height, width = size_hw = self.size_hw if size_hw is None else size_hw
        factors = np.array([width / self.size_hw[1], height / self.size_hw[0]])
        masks = np.zeros((len(self.segmentations), height, width), np.uint8)
        for mask, segmentation in zip(masks, self.segmentations, strict=True):
            if isinstance(segmentation, dict):
                drawn = coco_mask.decode(to_run_lengths(segmentation, self.size_hw))
                mask[:] = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST)
            elif segmentation:
                polygons = [(np.reshape(polygon, (-1, 2)) * factors).ravel().tolist() for polygon in segmentation]
                mask[:] = coco_mask.decode(to_run_lengths(polygons, size_hw))
        return np.ascontiguousarray(masks[:, :, ::-1]) if mirror else masks


def to_run_lengths(segmentation: Segmentation, size_hw: Sequence[int]) -> dict:
    """Compressed run lengths of an image of `size_hw`, from polygons, plain run lengths, or compressed ones."""
    if isinstance(segmentation, list):
        packed = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size_hw))
    elif isinstance(segmentation["counts"], list):
        packed = coco_mask.frPyObjects(segmentation, *size_hw)
    else:
        return segmentation
    return {**packed, "counts": packed["counts"].decode()}  # as json can hold it


def encode_masks(masks: ndarray) -> list[dict]:
    """Pack bool masks [N, H, W] into COCO's run lengths, as plain text that json can hold."""
    if not len(masks):
        return []
    encoded = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    return [{"size": [int(side) for side in one["size"]], "counts": one["counts"].decode()} for one in encoded]


class PackedSegmentations:
    """Segmentations of N objects in two arrays: loader workers share them instead of touching a million objects.

    Args:
        text: uint8, their json, one after another.
        lengths: [N] of each one's.
    """

    def __init__(self, text: ndarray, lengths: ndarray):
        self.text, self.ends = text, np.cumsum(lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> Segmentation:
        start = self.ends[index - 1] if index else 0
        return json.loads(self.text[start : self.ends[index]].tobytes())

    def select(self, positions: ndarray) -> PackedSegmentations:
        """Those at some positions, in their order."""
        lengths = np.diff(self.ends, prepend=0)[positions]
        sources, ends = self.ends[positions] - lengths, np.cumsum(lengths)
        text = np.empty(lengths.sum(), np.uint8)
        for source, end, length in zip(sources.tolist(), ends.tolist(), lengths.tolist(), strict=True):
            text[end - length : end] = self.text[source : source + length]
        return PackedSegmentations(text, lengths)


# What a segmentation is; the others are what is wrong with it, whatever the image.
POLYGONS, RUN_LENGTHS, NO_SEGMENTATION = 0, 1, 2
SEGMENTATION_STATES = (
    "polygons",
    "run lengths",
    "have no segmentation",
    "have a segmentation that is neither a list of polygons nor run lengths",
    "have a polygon of something else than numbers",
    "have a polygon that is no list of x, y, x, y, ...",
    "have a polygon of fewer than three points",
)
NOTHING = (np.nan,) * 4


class Inspected(NamedTuple):
    """What a segmentation of a file is, and how large."""

    state: int  # place in SEGMENTATION_STATES
    extent: Sequence[float] = NOTHING  # x1, y1, x2, y2 around it; NaN where there is nothing, or it is damaged
    size_hw: Sequence[float] = NOTHING[:2]  # that run lengths state
    pixels: float = np.nan  # that run lengths cover, background and all; NaN where they are damaged


def inspect_segmentation(segmentation: Segmentation | None) -> Inspected:
    """Look at a segmentation of a file, whatever stands there."""
    if not segmentation:
        return Inspected(NO_SEGMENTATION)
    if isinstance(segmentation, dict):
        size_hw, counts = _read_size(segmentation.get("size")), read_counts(segmentation.get("counts"))
        if counts is None:
            return Inspected(RUN_LENGTHS, size_hw=size_hw)
        pixels = min(sum(counts), 2**63)
        whole = pixels == size_hw[0] * size_hw[1] > 0
        return Inspected(RUN_LENGTHS, find_extent(counts, int(size_hw[0])) if whole else NOTHING, size_hw, pixels)
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        return Inspected(3)
    try:
        polygons = [np.asarray(polygon) for polygon in segmentation]
    except ValueError:  # lists in it, of several lengths
        return Inspected(5)
    if any(polygon.dtype.kind not in "iuf" for polygon in polygons):  # np.float64("1") would be a number too
        return Inspected(4)
    if any(polygon.ndim != 1 or len(polygon) % 2 for polygon in polygons):
        return Inspected(5)
    if any(len(polygon) < 6 for polygon in polygons):
        return Inspected(6)
    points = np.concatenate(polygons, dtype=np.float64).reshape(-1, 2)
    return Inspected(POLYGONS, (*points.min(axis=0), *points.max(axis=0)))


def find_segmentation_faults(
    states: ndarray, extents: ndarray, sizes_hw: ndarray, pixels: ndarray, images_wh: ndarray
) -> dict[str, ndarray]:
    """What is wrong with segmentations in their images, and which have it, bool [N]; of each the first fault alone.

    Args:
        states: [N] of `inspect_segmentation`, like the next three.
        extents: [N, 4].
        sizes_hw: [N, 2].
        pixels: [N].
        images_wh: [N, 2] sizes of their images.
    """
    polygons, runs = states == POLYGONS, states == RUN_LENGTHS
    low, high, longest = extents[:, :2], extents[:, 2:], images_wh.max(axis=1)
    # Farther off, or not finite, drawing them takes all memory; NaN is in no order with anything.
    near = (low.min(axis=1) > -longest) & (high.max(axis=1) < 2 * longest)
    beside = ((high <= 0) | (low >= images_wh)).any(axis=1)
    faults = {
        "have run lengths of another size than their image": runs & (sizes_hw != images_wh[:, ::-1]).any(axis=1),
        "have run lengths that are damaged": runs & np.isnan(pixels),
        "have run lengths that do not fill their image": runs & (pixels != images_wh.prod(axis=1)),
        "have a polygon far outside their image": polygons & ~near,
        "have all polygons outside their image": polygons & beside,
    }
    faults |= {text: states == state for state, text in enumerate(SEGMENTATION_STATES) if state > RUN_LENGTHS}
    sound = np.ones(len(states), dtype=bool)
    found = {}
    for fault, holds in faults.items():
        found[fault] = holds & sound
        sound &= ~holds
    return found


def _read_size(size: object) -> tuple[float, float]:
    """Height and width of run lengths; NaN where they are something else than two numbers."""
    if isinstance(size, list) and len(size) == 2 and all(type(side) in (int, float) and side < 2**53 for side in size):
        return size[0], size[1]
    return np.nan, np.nan


def read_counts(counts: list | str | None) -> list[int] | None:
    """Plain run lengths; None where they are damaged."""
    if isinstance(counts, str):
        counts = unpack_run_lengths(counts)
    if not isinstance(counts, list) or not counts or set(map(type, counts)) != {int}:
        return None
    return counts if min(counts) >= 0 and max(counts) < 2**53 else None


def find_extent(counts: Sequence[int], height: int) -> Sequence[float]:
    """x1, y1, x2, y2 around the object of run lengths, which go down columns of `height`; NaN where it has no pixel."""
    ends = np.cumsum(counts)
    first, last = ends[: len(ends) // 2 * 2 : 2], ends[1::2] - 1  # pixel of each run of the object
    first, last = first[last >= first], last[last >= first]
    if not len(first):
        return NOTHING
    columns, rows = (first // height, last // height), (first % height, last % height)
    wraps = bool((columns[0] < columns[1]).any())  # a run that goes on in the next column
    top, bottom = (0, height) if wraps else (rows[0].min(), rows[1].max() + 1)
    return columns[0].min(), top, columns[1].max() + 1, bottom
