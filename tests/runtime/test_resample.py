"""Resizing in NumPy gives what Pillow and torch give."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from hrtoolkit.runtime.resample import FILTERS, resize_like_pillow, resize_like_torch


@pytest.mark.parametrize("interpolation", ["nearest", *FILTERS])
def test_every_filter_is_pillows_bit_for_bit(interpolation):
    rng = np.random.default_rng(0)
    for turn in range(40):
        height, width = rng.integers(1, 90, 2).tolist()
        size = rng.integers(1, 120, 2).tolist()
        if turn % 7 < 2:  # one side stays, which Pillow leaves out
            size[turn % 7] = (width, height)[turn % 7]
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if turn % 3 == 0:  # edges, where filters overshoot
            image = (image > 127).astype(np.uint8) * 255
        wanted = np.asarray(Image.fromarray(image).resize(size, Image.Resampling[interpolation.upper()]))
        np.testing.assert_array_equal(resize_like_pillow(image, size, interpolation), wanted)
        (left, right), (top, bottom) = (sorted(rng.integers(0, side + 1, 2).tolist()) for side in size)
        if left < right and top < bottom:
            part = resize_like_pillow(image, size, interpolation, (left, top, right, bottom))
            np.testing.assert_array_equal(part, wanted[top:bottom, left:right])


@pytest.mark.parametrize("align_corners", [False, True])
def test_maps_are_resized_as_by_torch(align_corners):
    rng = np.random.default_rng(0)
    for _ in range(40):
        channels, height, width = rng.integers(1, 60, 3).tolist()
        size_hw = rng.integers(1, 150, 2).tolist()
        maps = rng.standard_normal((channels, height, width)).astype(np.float32)
        wanted = F.interpolate(torch.from_numpy(maps)[None], size=size_hw, mode="bilinear", align_corners=align_corners)
        resized = resize_like_torch(maps, size_hw, align_corners)
        assert resized.dtype == np.float32
        np.testing.assert_allclose(resized, wanted[0].numpy(), rtol=0, atol=2e-6)


def test_what_is_not_finite_stays_where_it_is():
    maps = np.zeros((1, 4, 4), np.float32)
    maps[0, 0, 0], maps[0, 3, 3] = np.nan, -np.inf
    wanted = F.interpolate(torch.from_numpy(maps)[None], size=(9, 9), mode="bilinear")[0].numpy()
    np.testing.assert_array_equal(np.isfinite(resize_like_torch(maps, (9, 9))), np.isfinite(wanted))
