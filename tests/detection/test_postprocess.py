"""Pasted masks against published counts."""

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from hrtoolkit.masks import encode_masks
from hrtoolkit.tasks.detection.postprocess import paste_masks

from .conftest import decode_masks


@pytest.mark.parametrize(
    ("kind", "pixels", "rows", "columns"),
    [("exact", 600, (21, 50), (10, 29)), ("soft", 620, (20, 50), None), ("whole", 651, (20, 50), (10, 30))],
)
def test_a_full_mask_covers_as_many_pixels_as_in_the_published_codes(kind, pixels, rows, columns):
    packed = paste_masks(torch.ones(1, 28, 28), torch.tensor([[10.3, 20.7, 30.2, 50.9]]), (64, 64), kind)
    (mask,) = decode_masks(packed, (64, 64))
    assert mask.sum() == pixels
    filled = np.flatnonzero(mask.any(axis=1))
    assert (filled[0], filled[-1]) == rows
    if columns:
        filled = np.flatnonzero(mask.any(axis=0))
        assert (filled[0], filled[-1]) == columns


def test_pasting_a_part_equals_pasting_the_whole_image():
    masks = torch.rand(6, 28, 28, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor(
        [
            (3.2, 4.1, 30.7, 50.2),
            (-5.0, 10, 20, 70),
            (40, 40, 64, 48),
            (0, 0, 64, 48),
            (10, 10, 11, 11.5),
            (9, 9, 9, 20),
        ]
    )
    pasted = decode_masks(paste_masks(masks, boxes, (48, 64)), (48, 64))
    x, y = torch.arange(64) + 0.5, torch.arange(48) + 0.5
    for mask, (x1, y1, x2, y2), result in zip(masks, boxes.tolist(), pasted, strict=True):
        if x2 == x1:
            assert not result.any()
            continue
        grid = torch.stack(
            torch.meshgrid((x - x1) / (x2 - x1) * 2 - 1, (y - y1) / (y2 - y1) * 2 - 1, indexing="xy"), -1
        )
        whole = torch.nn.functional.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0] >= 0.5
        assert (whole.numpy() == result).all()


def test_pasting_whole_pixels_is_resizing_to_them():
    masks = torch.rand(4, 28, 28, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([(3.2, 4.1, 30.7, 40.2), (0, 10, 0, 10), (40, 30, 63.9, 47.9), (60, 40, 70, 50)])
    pasted = decode_masks(paste_masks(masks, boxes, (48, 64), "whole"), (48, 64))
    for mask, (x1, y1, x2, y2), result in zip(masks, boxes.int().tolist(), pasted, strict=True):
        expected = np.zeros((100, 100), bool)
        expected[y1 : y2 + 1, x1 : x2 + 1] = cv2.resize(mask.numpy(), (x2 - x1 + 1, y2 - y1 + 1)) > 0.5
        assert (result == expected[:48, :64]).all()


def test_soft_pasting_is_torchvisions():
    masks = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([(3.2, 4.1, 30.7, 40.2), (0, 10, 20, 48), (40, 30, 64, 48)])
    pasted = decode_masks(paste_masks(masks, boxes, (48, 64), "soft"), (48, 64))
    assert (paste_masks_in_image(masks[:, None], boxes, (48, 64))[:, 0].numpy() >= 0.5).tolist() == pasted.tolist()


def test_packing_keeps_masks():
    masks = np.random.default_rng(0).random((3, 20, 30)) > 0.5
    assert (decode_masks(encode_masks(masks), (20, 30)) == masks).all()
    assert encode_masks(masks[:0]) == [] and decode_masks([], (20, 30)).shape == (0, 20, 30)
