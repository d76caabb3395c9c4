"""Top-down crops and their augmentation."""

import numpy as np
import pytest
from hrtoolkit.tasks.pose.layouts import COCO
from hrtoolkit.tasks.pose.transforms import TopDownAffine, half_body_window

from hrtoolkit.data.loading import Draw
from hrtoolkit.structures import KeypointLayout

K = np.arange(17)
POINTS = np.stack([200 + 6.0 * K, 100 + 12.0 * K], axis=1)
VISIBLE = np.where((K == 0) | (K == 16), 0, 1)


@pytest.mark.parametrize(
    ("prefer_upper", "center", "scale"),
    [
        (True, (233, 166), (0.6075000166893005, 0.8100000619888306)),
        (False, (278, 256), (0.27000001072883606, 0.35999998450279236)),
    ],
)
def test_half_body_windows_equal_the_official_ones(prefer_upper, center, scale):
    got_center, got_size = half_body_window(POINTS, VISIBLE, COCO, prefer_upper, 0.75, 1.5)
    np.testing.assert_allclose(got_center, center)
    np.testing.assert_allclose(got_size / 200, scale, rtol=1e-6)  # the original keeps float32


def test_half_body_needs_two_keypoints_apart():
    only_nose = (K == 0).astype(int)
    assert half_body_window(POINTS, only_nose, COCO, True, 0.75, 1.5) is None
    assert half_body_window(np.zeros((17, 2)), VISIBLE, COCO, True, 0.75, 1.5) is None
    no_halves = KeypointLayout(COCO.names)
    assert half_body_window(POINTS, VISIBLE, no_halves, True, 0.75, 1.5) is None


def crop(transform, rng=None, image=None):
    if image is None:
        image = np.zeros((480, 640, 3), np.uint8)
    return transform(image, np.array([300.0, 200]), np.array([150.0, 300]), POINTS, VISIBLE, COCO, rng)


def test_without_a_generator_nothing_is_random_and_points_follow_the_pixels():
    image = np.zeros((480, 640, 3), np.uint8)
    image[199:202, 249:252] = 255
    transform = TopDownAffine((192, 256), half_body=1, scale=0.35, rotation=45, flip=1)
    sample = crop(transform, image=image)
    x, y = sample["matrix"] @ [250, 200, 1]
    bright = np.argwhere(sample["image"][..., 0] > 200).mean(axis=0)[::-1]
    np.testing.assert_allclose(bright, (x, y), atol=0.5)
    assert sample["image"].shape == (256, 192, 3)
    assert sample["area"] == pytest.approx(225 * 300)  # grown to the aspect of 3 : 4
    np.testing.assert_array_equal(sample["visible"], VISIBLE)


@pytest.mark.parametrize("seed", range(5))
def test_augmented_points_follow_the_pixels(seed):
    rng = np.random.default_rng(seed)
    image = np.zeros((480, 640, 3), np.uint8)
    image[194:199, 245:250] = 255
    transform = TopDownAffine((192, 256), half_body=0.3, scale=0.35, rotation=45, flip=0.5)
    sample = crop(transform, rng, image)
    x, y = sample["matrix"] @ [247, 196, 1]
    bright = np.argwhere(sample["image"][..., 0] > 150)
    if len(bright):
        np.testing.assert_allclose(bright.mean(axis=0)[::-1], (x, y), atol=0.8)


def test_mirroring_exchanges_left_and_right():
    plain = crop(TopDownAffine((192, 256)))
    mirrored = crop(TopDownAffine((192, 256), flip=1.0), np.random.default_rng(0))
    order = COCO.flip_order()
    np.testing.assert_array_equal(mirrored["visible"], plain["visible"][order])
    # The window is mirrored with the image, and its centre lies on input pixel 192 / 2: x -> 192 - x.
    expected = plain["keypoints"][order] * [-1, 1] + [192, 0]
    np.testing.assert_allclose(mirrored["keypoints"], expected, atol=1e-3)


def test_the_same_draw_is_the_same_sample():
    transform = TopDownAffine((192, 256), half_body=0.3, scale=0.35, rotation=45, flip=0.5)
    samples = [crop(transform, Draw(7, epoch, 0).generator()) for epoch in (3, 3, 4)]
    np.testing.assert_array_equal(samples[0]["matrix"], samples[1]["matrix"])
    assert not np.array_equal(samples[0]["matrix"], samples[2]["matrix"])


def test_the_augmentation_has_the_published_distribution():
    transform = TopDownAffine((192, 256), scale=0.35, rotation=45, flip=0.5)
    rng = np.random.default_rng(0)
    matrices = np.stack([crop(transform, rng, np.zeros((8, 8, 3), np.uint8))["matrix"] for _ in range(2000)])
    linear = matrices[:, :, :2]
    mirrored = np.linalg.det(linear) < 0
    factors = (192 / 225) / np.sqrt(np.abs(np.linalg.det(linear)))
    angles = np.degrees(np.arctan2(linear[:, 0, 1], linear[:, 1, 1]))
    # Three standard errors of a share of 2000 draws are at most 0.034.
    assert mirrored.mean() == pytest.approx(0.5, abs=0.034)
    assert np.isclose(np.abs(factors - 1), 0.35).mean() == pytest.approx(0.3173, abs=0.034)
    assert (np.abs(angles) < 1e-9).mean() == pytest.approx(0.4, abs=0.034)
    assert np.isclose(np.abs(angles), 90).mean() == pytest.approx(0.6 * 0.0455, abs=0.015)
