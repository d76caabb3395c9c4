"""Masks in NumPy are those of pycocotools and of the detectors."""

import numpy as np
import pytest
import torch

from hrtoolkit import masks
from hrtoolkit.runtime.masks import Masks, encode_mask, paste_masks
from hrtoolkit.tasks.detection import postprocess

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


@pytest.mark.parametrize("kind", ["exact", "soft", "whole"])
def test_masks_are_pasted_as_by_the_detectors(kind):
    rng = np.random.default_rng(0)
    for _ in range(30):
        height, width = size_hw = tuple(rng.integers(5, 200, 2).tolist())
        corners = np.sort(rng.uniform(-0.2, 1.2, (6, 2, 2)) * [width, height], axis=1)
        boxes = corners.reshape(6, 4).astype(np.float32)
        if kind != "exact":  # these detectors cut their boxes at the image
            boxes = boxes.clip(0, np.array([width, height] * 2, np.float32))
        shown = rng.random((6, 28, 28)).astype(np.float32)
        wanted = postprocess.paste_masks(torch.from_numpy(shown), torch.from_numpy(boxes), size_hw, kind)
        assert_same_masks(paste_masks(shown, boxes, size_hw, kind), masks.Masks(size_hw, wanted))


def test_some_masks_are_chosen():
    three = Masks((1, 2), [encode_mask(np.array([[a, b]], bool)) for a, b in ((0, 1), (1, 0), (1, 1))])
    np.testing.assert_array_equal(three.select(np.array([True, False, True])).draw()[:, 0], [[0, 1], [1, 1]])
