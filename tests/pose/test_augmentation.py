"""Top-down crops of people and their augmentation."""

import numpy as np
import pytest

from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.frames import to_input
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.records import Objects
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tasks.pose.augmentation import PoseAugmentation, half_body_window

K = np.arange(17)
POINTS = np.stack([200 + 6.0 * K, 100 + 12.0 * K], axis=1)
VISIBLE = np.where((K == 0) | (K == 16), 0, 1)
WINDOW = np.array([[240.0, 80, 120, 240]])  # 150 x 300 with padding
VIEW = TopDown(input_size=(192, 256))


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
    no_halves = KeypointScheme(COCO.names)
    assert half_body_window(POINTS, VISIBLE, no_halves, True, 0.75, 1.5) is None


def crop(augmentation=None, rng=None, image=None):
    """Pixels, frame, and the person in the input."""
    if image is None:
        image = np.zeros((480, 640, 3), np.uint8)
    points, visible = POINTS[None].astype(np.float32), VISIBLE[None].astype(np.uint8)
    person = Objects(WINDOW, np.zeros(1, int), points=points, visible=visible)
    (ask,) = VIEW.crops(WINDOW, WINDOW, np.ones(1))
    np.testing.assert_allclose(ask.center, (300, 200))
    np.testing.assert_allclose(ask.size, (225, 300))  # grown to the aspect of 3 : 4
    if augmentation is not None:
        ask = augmentation.ask(VIEW, image.shape[:2], person, ask, COCO, rng)
    pixels, frame = VIEW(image, ask)
    return pixels, frame, to_input(person, frame, COCO)


def test_without_augmentation_nothing_is_random_and_points_follow_the_pixels():
    image = np.zeros((480, 640, 3), np.uint8)
    image[199:202, 249:252] = 255
    pixels, frame, person = crop(image=image)
    x, y = frame.matrix @ [250, 200, 1]
    bright = np.argwhere(pixels[..., 0] > 200).mean(axis=0)[::-1]
    np.testing.assert_allclose(bright, (x, y), atol=0.5)
    assert pixels.shape == (256, 192, 3)
    assert frame.area == pytest.approx(225 * 300)
    np.testing.assert_array_equal(person.visible[0], VISIBLE)


@pytest.mark.parametrize("seed", range(5))
def test_augmented_points_follow_the_pixels(seed):
    rng = np.random.default_rng(seed)
    image = np.zeros((480, 640, 3), np.uint8)
    image[194:199, 245:250] = 255
    pixels, frame, _ = crop(PoseAugmentation(half_body=0.3, scale=0.35, rotation=45, flip=0.5), rng, image)
    x, y = frame.matrix @ [247, 196, 1]
    bright = np.argwhere(pixels[..., 0] > 150)
    if len(bright):
        np.testing.assert_allclose(bright.mean(axis=0)[::-1], (x, y), atol=0.8)
    assert frame.area == pytest.approx(225 * 300)  # as before augmentation
    # And back.
    np.testing.assert_allclose(frame.points_to_image(np.array([x, y])[None]), [(247, 196)], atol=1e-9)


def test_mirroring_exchanges_left_and_right():
    _, _, plain = crop()
    _, frame, mirrored = crop(PoseAugmentation(flip=1.0), np.random.default_rng(0))
    order = COCO.flip_order()
    assert frame.mirror
    np.testing.assert_array_equal(mirrored.visible[0], plain.visible[0][order])
    # The window is mirrored with the image, and its centre lies on input pixel 192 / 2: x -> 192 - x.
    expected = plain.points[0][order] * [-1, 1] + [192, 0]
    np.testing.assert_allclose(mirrored.points[0], expected, atol=1e-3)


def test_the_same_key_is_the_same_sample():
    augmentation = PoseAugmentation(half_body=0.3, scale=0.35, rotation=45, flip=0.5)
    matrices = [crop(augmentation, SampleKey(7, epoch, 0).generator())[1].matrix for epoch in (3, 3, 4)]
    np.testing.assert_array_equal(matrices[0], matrices[1])
    assert not np.array_equal(matrices[0], matrices[2])


def test_the_augmentation_has_the_published_distribution():
    augmentation = PoseAugmentation(scale=0.35, rotation=45, flip=0.5)
    rng = np.random.default_rng(0)
    image = np.zeros((8, 8, 3), np.uint8)
    matrices = np.stack([crop(augmentation, rng, image)[1].matrix for _ in range(2000)])
    linear = matrices[:, :, :2]
    mirrored = np.linalg.det(linear) < 0
    factors = (192 / 225) / np.sqrt(np.abs(np.linalg.det(linear)))
    angles = np.degrees(np.arctan2(linear[:, 0, 1], linear[:, 1, 1]))
    # Three standard errors of a share of 2000 draws are at most 0.034.
    assert mirrored.mean() == pytest.approx(0.5, abs=0.034)
    assert np.isclose(np.abs(factors - 1), 0.35).mean() == pytest.approx(0.3173, abs=0.034)
    assert (np.abs(angles) < 1e-9).mean() == pytest.approx(0.4, abs=0.034)
    assert np.isclose(np.abs(angles), 90).mean() == pytest.approx(0.6 * 0.0455, abs=0.015)


def test_hands_and_face_make_no_half_of_a_whole_body():
    scheme = resolve_scheme("coco_wholebody", KeypointScheme)
    points = np.random.default_rng(0).uniform(0, 50, (133, 2))
    points[23:] += 500  # face and hands
    visible = np.ones(133)
    for prefer_upper in (True, False):
        center, _ = half_body_window(points, visible, scheme, prefer_upper, 0.75, 1.5)
        assert (center < 50).all()
    assert half_body_window(points, np.arange(133) >= 23, scheme, True, 0.75, 1.5) is None
