"""From an image with objects to the network's input: resizing with the aspect kept, and mirroring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from hrtoolkit.tasks.detection.conventions import CONVENTIONS
from pycocotools import mask as coco_mask

from hrtoolkit.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ResizeFlip:
    """Fit an image into a long and a short side, and mirror it now and then; boxes, masks and keypoints follow.

    Without a generator nothing is random: the first size is taken. Padding comes when a batch is joined.

    Args:
        sizes: longest and shortest side of the result, as large as both allow; of several pairs, training draws one an
            image (multi-scale training).
        flip: probability of mirroring.
        convention: the code base whose head sees the images: how sides and grey levels are rounded, and boxes scaled.

    Raises:
        ValueError: no sizes are given, or the convention is not known.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]] = ((1333, 800),),
        flip: float = 0.0,
        convention: Literal["mmdet", "torchvision", "authors", "maskrcnn-benchmark"] = "mmdet",
    ):
        if not sizes or any(len(pair) != 2 or min(pair) <= 0 for pair in sizes):
            raise ValueError(f"ResizeFlip: sizes takes pairs of a longest and a shortest side, got {sizes!r}")
        self.sizes = [(max(pair), min(pair)) for pair in sizes]  # in either order, as in mmdetection
        self.flip = flip
        if convention not in CONVENTIONS:
            raise ValueError(f"ResizeFlip: convention should be one of {', '.join(CONVENTIONS)}, got {convention!r}")
        self.convention = convention

    def __call__(
        self,
        image: np.ndarray,
        boxes: np.ndarray,
        segmentations: Sequence | None = None,
        rng: np.random.Generator | None = None,
        keypoints: np.ndarray | None = None,
        flip_order: Sequence[int] | None = None,
    ) -> dict[str, np.ndarray]:
        """Transform one image.

        Args:
            image: RGB uint8 [H, W, 3].
            boxes: [G, 4] (x1, y1, x2, y2) in image pixels.
            segmentations: G of them, each a list of polygons (x, y, x, y, ... with pixel i from i to i + 1) or run
                lengths, as COCO has them.
            rng: draws size and mirroring; None for neither.
            keypoints: [G, K, 3] (x, y with pixel centres on integers, flag).
            flip_order: of K keypoints, the index of the mirror partner of each.

        Returns:
            `image` (uint8, or float32 as torchvision has it), `boxes` float32 [G, 4], and where they are given `masks`
            uint8 [G, h, w] and `keypoints` float32.
        """
        pair = self.sizes[0] if rng is None else self.sizes[rng.integers(len(self.sizes))]
        mirror = rng is not None and rng.random() < self.flip
        old_hw = image.shape[:2]
        rules = CONVENTIONS[self.convention]
        height, width = size_hw = fit_size(old_hw, *pair, "down" if rules.float_resize else "nearest")
        factors = np.array([width / old_hw[1], height / old_hw[0]])
        if rules.float_resize:
            image = resize_float(image, size_hw)
        elif size_hw != old_hw:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        if mirror:
            image = cv2.flip(image, 1)
        result = {"image": image, "boxes": map_boxes(boxes, factors, width if mirror else None, rules.last_pixel)}
        if segmentations is not None:
            result["masks"] = draw_masks(segmentations, old_hw, size_hw, mirror)
        if keypoints is not None:
            result["keypoints"] = map_keypoints(keypoints, factors, width if mirror else None, flip_order)
        return result


def fit_size(size_hw: tuple[int, int], longest: int, shortest: int, rounding: str = "nearest") -> tuple[int, int]:
    """Height and width of the largest image of the same aspect whose sides are not above `longest` and `shortest`."""
    scale = min(longest / max(size_hw), shortest / min(size_hw))
    half = 0.5 if rounding == "nearest" else 0.0
    return tuple(max(1, int(side * scale + half)) for side in size_hw)


def resize_float(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resize an image [H, W, 3] bilinearly to float32, as torchvision's detectors do."""
    channels_first = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    resized = F.interpolate(channels_first, size=size_hw, mode="bilinear", align_corners=False)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def map_boxes(
    boxes: np.ndarray, factors: np.ndarray, mirror_width: int | None = None, last_pixel: bool = False
) -> np.ndarray:
    """Scale boxes [G, 4] (x1, y1, x2, y2), then mirror them.

    Args:
        boxes: in image pixels.
        factors: of x and y.
        mirror_width: of the image in which they are mirrored, or None.
        last_pixel: x2 - 1 and y2 - 1 are scaled, the last pixel as the authors count it.
    """
    end = np.array([0, 0, 1, 1]) if last_pixel else 0
    mapped = (boxes - end) * np.tile(factors, 2) + end
    if mirror_width is not None:
        mapped = np.stack(
            [mirror_width - mapped[:, 2], mapped[:, 1], mirror_width - mapped[:, 0], mapped[:, 3]], axis=1
        )
    return mapped.astype(np.float32)


def map_keypoints(
    keypoints: np.ndarray, factors: np.ndarray, mirror_width: int | None, flip_order: Sequence[int] | None
) -> np.ndarray:
    """Scale keypoints [G, K, 3] (x, y, flag) by factors (x, y), then mirror them and exchange left and right.

    Convention: pixel centres lie on integers, so a point's distance from the image's edge is x + 1/2.
    """
    mapped = np.array(keypoints, dtype=np.float32)
    mapped[..., :2] = (mapped[..., :2] + 0.5) * factors - 0.5
    if mirror_width is not None:
        mapped[..., 0] = mirror_width - 1 - mapped[..., 0]
        mapped = mapped[:, list(flip_order)]
    mapped[mapped[..., 2] == 0] = 0  # not labelled: wherever it was
    return mapped


def draw_masks(
    segmentations: Sequence, old_hw: tuple[int, int], size_hw: tuple[int, int], mirror: bool = False
) -> np.ndarray:
    """Rasterise COCO segmentations at another size: polygons are scaled first, run lengths are resampled.

    Args:
        segmentations: G of them, each a list of polygons or run lengths.
        old_hw: height and width of the annotated image.
        size_hw: height and width of the result.
        mirror: whether the result is mirrored.

    Returns:
        uint8 [G, h, w], 0 or 1.
    """
    height, width = size_hw
    factors = np.array([width / old_hw[1], height / old_hw[0]])
    masks = np.zeros((len(segmentations), height, width), np.uint8)
    for mask, segmentation in zip(masks, segmentations, strict=True):
        if isinstance(segmentation, dict):
            drawn = coco_mask.decode(to_run_lengths(segmentation, old_hw))
            mask[:] = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST)
        else:
            polygons = [(np.reshape(polygon, (-1, 2)) * factors).ravel().tolist() for polygon in segmentation]
            mask[:] = coco_mask.decode(to_run_lengths(polygons, size_hw))
    return np.ascontiguousarray(masks[:, :, ::-1]) if mirror else masks


def to_run_lengths(segmentation: list | dict, size_hw: Sequence[int]) -> dict:
    """Compressed run lengths of an image of `size_hw`, from polygons, plain run lengths, or compressed ones."""
    if isinstance(segmentation, list):
        packed = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size_hw))
    elif isinstance(segmentation["counts"], list):
        packed = coco_mask.frPyObjects(segmentation, *size_hw)
    else:
        return segmentation
    return {**packed, "counts": packed["counts"].decode()}  # as json can hold it
