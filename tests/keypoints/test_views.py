"""Crops of many windows at once, and what a view refuses."""

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.runtime import geometry


def test_crops_are_padded_in_float32_and_grown_in_float64():
    rng = np.random.default_rng(0)
    windows = rng.uniform(10, 300, (50, 4))
    crops = TopDown(input_size=(96, 128)).crops(windows, windows + 1, rng.uniform(0, 1, 50).astype(np.float32))
    assert len(crops) == 50
    for crop, (left, top, width, height) in zip(crops, windows, strict=True):
        center = np.array([left + width / 2, top + height / 2]).astype(np.float32)
        size = (np.array([width, height]) * 1.25).astype(np.float32).astype(np.float64)
        size = geometry.grow_to_aspect(size, 96 / 128)
        np.testing.assert_array_equal(crop.center, center.astype(np.float64))
        np.testing.assert_array_equal(crop.size, size)
        assert crop.area == size.prod() and crop.angle == 0 and not crop.mirror
    np.testing.assert_array_equal(crops[7].box_xyxy, windows[7] + 1)


def test_the_window_with_its_padding_fills_the_input():
    view = TopDown(input_size=(100, 100), padding=1.0)
    image = np.arange(200 * 200 * 3, dtype=np.uint8).reshape(200, 200, 3)
    (crop,) = view.crops(np.array([[30.0, 40, 100, 100]]), np.zeros((1, 4)), np.ones(1))
    pixels, frame = view(image, crop)
    np.testing.assert_array_equal(pixels, image[40:140, 30:130])
    assert (frame.image_hw, frame.input_hw, frame.content_hw) == ((200, 200), (100, 100), (100, 100))
    np.testing.assert_allclose(frame.boxes_to_input(np.array([[30.0, 40, 130, 140]])), [[0, 0, 100, 100]])
    np.testing.assert_allclose(frame.boxes_to_image(np.array([[0.0, 0, 100, 100]])), [[30, 40, 130, 140]])


def test_the_unbiased_convention_joins_first_and_last_pixels():
    (crop,) = TopDown(input_size=(192, 256)).crops(np.array([[0.0, 0, 120, 160]]), np.zeros((1, 4)), np.ones(1))
    _, frame = TopDown(input_size=(192, 256), unbiased=True)(np.zeros((9, 9, 3), np.uint8), crop)
    corners = np.array([crop.center - crop.size / 2, crop.center + crop.size / 2])
    np.testing.assert_allclose(frame.points_to_input(corners), [(0, 0), (191, 255)], atol=1e-4)


def test_what_decides_predictions_is_described():
    described = TopDown(input_size=[96, 128], unbiased=True).describe()
    assert described["type"] == "TopDown" and described["unbiased"] and described["input_size"] == (96, 128)


@pytest.mark.parametrize("size", [(96,), (0, 128), (96, 128, 3)])
def test_an_input_size_is_two_numbers(size):
    with pytest.raises(OptionError, match="input_size is width and height, got"):
        TopDown(input_size=size)
