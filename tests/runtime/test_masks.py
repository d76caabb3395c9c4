"""Masks in NumPy are those of pycocotools and of the published detectors."""

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from hrtoolkit import masks
from hrtoolkit.runtime.masks import Masks, encode_mask, paste_masks

from .exporting import assert_same_masks


def test_run_lengths_are_packed_as_by_pycocotools_and_come_back():
    rng = np.random.default_rng(0)
    shapes = [tuple(rng.integers(1, 60, 2).tolist()) for _ in range(60)]
    drawn = [rng.random(shape) < rng.choice([0, 0.02, 0.5, 0.9, 1]) for shape in shapes]
    large = np.zeros((1200, 1600), bool)
    large[:, :800] = large[600:, 900] = True
    for mask in [*drawn, large]:
        packed = encode_mask(mask)
        assert packed == masks.encode_masks(mask[None])[0]
        np.testing.assert_array_equal(Masks(mask.shape, [packed]).draw()[0], mask)


def paste_exactly(mask, box, size_hw):
    """Of mmdetection's mask head, over the whole image: torch's `grid_sample`, 0 beyond the mask."""
    (height, width), (x1, y1, x2, y2) = size_hw, box.tolist()
    if x2 <= x1 or y2 <= y1:
        return np.zeros(size_hw, bool)
    x, y = (torch.arange(width) + 0.5 - x1) / (x2 - x1) * 2 - 1, (torch.arange(height) + 0.5 - y1) / (y2 - y1) * 2 - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return (torch.nn.functional.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0] >= 0.5).numpy()


def paste_softly(mask, box, size_hw):
    return (paste_masks_in_image(mask[None, None], box[None], size_hw)[0, 0] >= 0.5).numpy()


def paste_whole(mask, box, size_hw):
    """Of the HRNet authors' detector: resized to the pixels that a box touches."""
    x1, y1, x2, y2 = box.int().tolist()
    canvas = np.zeros((size_hw[0] + y2 + 1, size_hw[1] + x2 + 1), bool)
    canvas[y1 : y2 + 1, x1 : x2 + 1] = cv2.resize(mask.numpy(), (x2 - x1 + 1, y2 - y1 + 1)) > 0.5
    return canvas[: size_hw[0], : size_hw[1]]


@pytest.mark.parametrize(("kind", "paste"), [("exact", paste_exactly), ("soft", paste_softly), ("whole", paste_whole)])
def test_masks_are_pasted_as_by_the_published_detectors(kind, paste):
    rng = np.random.default_rng(0)
    for _ in range(30):
        height, width = size_hw = tuple(rng.integers(5, 200, 2).tolist())
        corners = np.sort(rng.uniform(-0.2, 1.2, (6, 2, 2)) * [width, height], axis=1)
        boxes = corners.reshape(6, 4).astype(np.float32)
        boxes[5, 2] = boxes[5, 0]  # without extent
        if kind != "exact":  # these detectors cut their boxes at the image
            boxes = boxes.clip(0, np.array([width, height] * 2, np.float32))
        shown = rng.random((6, 28, 28)).astype(np.float32)
        packed = paste_masks(shown, boxes, size_hw, kind)
        wanted = [paste(mask, box, size_hw) for mask, box in zip(*map(torch.from_numpy, (shown, boxes)), strict=True)]
        assert_same_masks(Masks(size_hw, packed), masks.Masks(size_hw, masks.encode_masks(np.stack(wanted))))


@pytest.mark.parametrize(
    ("kind", "pixels", "rows", "columns"),
    [("exact", 600, (21, 50), (10, 29)), ("soft", 620, (20, 50), None), ("whole", 651, (20, 50), (10, 30))],
)
def test_a_full_mask_covers_as_many_pixels_as_in_the_published_codes(kind, pixels, rows, columns):
    boxes = np.array([[10.3, 20.7, 30.2, 50.9]], np.float32)
    packed = paste_masks(np.ones((1, 28, 28), np.float32), boxes, (64, 64), kind)
    (mask,) = Masks((64, 64), packed).draw()
    assert mask.sum() == pixels
    filled = np.flatnonzero(mask.any(axis=1))
    assert (filled[0], filled[-1]) == rows
    if columns:
        filled = np.flatnonzero(mask.any(axis=0))
        assert (filled[0], filled[-1]) == columns


def test_masks_of_nothing_are_packed():
    assert masks.encode_masks(np.zeros((0, 20, 30), bool)) == [] and Masks((20, 30), []).draw().shape == (0, 20, 30)


def test_some_masks_are_chosen():
    three = Masks((1, 2), [encode_mask(np.array([[a, b]], bool)) for a, b in ((0, 1), (1, 0), (1, 1))])
    np.testing.assert_array_equal(three.select(np.array([True, False, True])).draw()[:, 0], [[0, 1], [1, 1]])
