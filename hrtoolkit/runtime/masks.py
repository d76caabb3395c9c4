"""Masks of objects: from the network's small squares to the image, packed in COCO's run lengths, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy import ndarray

from .resample import Neighbours, blend, resize_like_torch

Kind = TypeVar("Kind", bound="Masks")  # hrtoolkit has its own


class Masks(NamedTuple):
    """Masks of N objects in an image."""

    size_hw: tuple[int, int]  # of the image
    segmentations: Sequence[Any]  # N, compressed run lengths

    def select(self: Kind, chosen: ndarray | slice) -> Kind:
        """The masks at some positions, or where a mask [N] is true."""
        positions = np.arange(len(self.segmentations))[chosen]
        return self._replace(segmentations=[self.segmentations[i] for i in positions])

    def run_lengths(self) -> list[dict]:
        """Compressed run lengths of every mask, as json can hold them."""
        return list(self.segmentations)

    def draw(self) -> ndarray:
        """The pixels of every mask, uint8 [N, H, W], 0 or 1."""
        height, width = self.size_hw
        masks = np.zeros((len(self.segmentations), height, width), np.uint8)
        for mask, one in zip(masks, self.segmentations, strict=True):
            counts = unpack_run_lengths(one["counts"])
            assert counts is not None, "packed here"
            mask[:] = np.repeat(np.arange(len(counts)) % 2, counts).reshape(width, height).T
        return masks


def paste_masks(masks: ndarray, boxes_xyxy: ndarray, size_hw: tuple[int, int], kind: str) -> list[dict]:
    """Resample masks over their boxes to the image, cut them at 0.5 and pack them in COCO's run lengths.

    Args:
        masks: float32 [N, M, M], probabilities.
        boxes_xyxy: float32 [N, 4] in pixels of the image; where the last pixel is counted in, it ends them.
        size_hw: of the image.
        kind: over the "exact" box, as mmdetection; "soft", with a border and over whole pixels around the box, as
            torchvision; or over its "whole" pixels alone, as the authors.
    """
    paste = {"exact": _paste_exactly, "soft": _paste_softly, "whole": _paste_whole}[kind]
    packed = []
    for mask, box in zip(masks, boxes_xyxy, strict=True):
        canvas = np.zeros(size_hw, bool)
        paste(canvas, mask, box)
        packed.append(encode_mask(canvas))
    return packed


def _paste_exactly(canvas: ndarray, mask: ndarray, box: ndarray) -> None:
    x1, y1, x2, y2 = box.tolist()
    # No pixel farther than one from the box can reach 0.5.
    left, top = max(int(x1) - 1, 0), max(int(y1) - 1, 0)
    right, bottom = min(int(x2) + 2, canvas.shape[1]), min(int(y2) + 2, canvas.shape[0])
    if left < right and top < bottom and x2 > x1 and y2 > y1:
        rows, columns = _cells(top, bottom, y1, y2, len(mask)), _cells(left, right, x1, x2, len(mask))
        canvas[top:bottom, left:right] = blend(np.pad(mask, 1), rows, columns) >= 0.5


def _cells(first: int, end: int, low: float, high: float, cells: int) -> Neighbours:
    """The cells around each pixel, of those between `low` and `high` with one of padding at both ends."""
    pixels = np.arange(first, end, dtype=np.float32)
    places = (pixels + np.float32(0.5) - np.float32(low)) / np.float32(high - low) * 2 - 1
    places = ((places + 1) * cells - 1) / 2  # where the middle of each pixel lies among the middles of the cells
    places = places.clip(-1, cells)
    before = np.floor(places)
    padded = before.astype(np.int64) + 1
    return Neighbours(padded, np.minimum(padded + 1, cells + 1), places - before)


def _paste_softly(canvas: ndarray, mask: ndarray, box: ndarray) -> None:
    # As torchvision.models.detection.roi_heads.paste_masks_in_image, with a cell of padding on all sides.
    half, middle = (box[2:] - box[:2]) * np.float32(0.5), (box[2:] + box[:2]) * np.float32(0.5)
    half = half * np.float32((len(mask) + 2) / len(mask))
    left, top, right, bottom = np.concatenate([middle - half, middle + half]).astype(np.int64).tolist()
    wide = resize_like_torch(np.pad(mask, 1), (max(bottom - top + 1, 1), max(right - left + 1, 1)))
    seen = canvas[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    y, x = max(-top, 0), max(-left, 0)
    seen[:] = wide[y : y + seen.shape[0], x : x + seen.shape[1]] >= 0.5


def _paste_whole(canvas: ndarray, mask: ndarray, box: ndarray) -> None:
    left, top, right, bottom = (max(int(side), 0) for side in box.tolist())  # of pixels that are all inside
    resized = cv2.resize(mask, (max(right - left + 1, 1), max(bottom - top + 1, 1)))
    area = canvas[top : top + len(resized), left : left + resized.shape[1]]
    area[:] = resized[: area.shape[0], : area.shape[1]] > 0.5


def encode_mask(mask: ndarray) -> dict:
    """Pack a bool mask [H, W] into COCO's run lengths, as pycocotools does."""
    column = mask.T.ravel()
    turns = np.flatnonzero(column[1:] != column[:-1]) + 1
    counts = np.diff([*turns, len(column)], prepend=0)
    if column[:1].any():  # the first run is one of zeros
        counts = np.insert(counts, 0, 0)
    return {"size": list(mask.shape), "counts": pack_run_lengths(counts)}


def pack_run_lengths(counts: ndarray) -> str:
    """Plain run lengths int [R] as text, see `unpack_run_lengths`."""
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    codes, waiting = [], np.ones(len(numbers), bool)
    while waiting.any():
        low, numbers = numbers & 31, numbers >> 5
        more = np.where(low & 16, numbers != -1, numbers != 0)
        codes.append(np.where(waiting, low + 32 * more + ord("0"), 0))
        waiting &= more
    text = np.stack(codes, axis=1, dtype=np.uint8, casting="unsafe").ravel()
    return text[text > 0].tobytes().decode()


def unpack_run_lengths(text: str) -> list[int] | None:
    """Read compressed run lengths as pycocotools does, which reads on in memory where they are damaged; None if so.

    Each number is a row of characters, of 5 bits each from the lowest on and a 6th that tells whether it goes on; from
    the fourth on, numbers are differences from the one before the last.
    """
    codes = np.frombuffer(text.encode(errors="replace"), np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero(codes & 32 == 0)
    if not text.isascii() or not len(codes) or codes.min() < 0 or codes.max() > 63 or not len(ends):
        return None
    lengths = np.diff(ends, prepend=-1)  # characters a number
    if ends[-1] != len(codes) - 1 or lengths.max() > 6:
        return None
    starts = ends - lengths + 1
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((codes & 31) << shifts, starts)
    numbers -= np.where(codes[ends] & 16, 1 << (5 * lengths), 0)  # the highest bit is the sign
    numbers[1::2] = numbers[1::2].cumsum()
    numbers[2::2] = numbers[2::2].cumsum()
    return numbers.tolist()
