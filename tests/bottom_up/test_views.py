"""Whole images on a canvas, and squares of them, by the numbers of the official code."""

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame
from hrtoolkit.runtime.views import fit_short_side
from hrtoolkit.tasks.bottom_up.augmentation import AffineAugmentation
from hrtoolkit.tasks.bottom_up.views import ShortSide
from hrtoolkit.views import Crop

# Of the official code at one input size: draws of a scale of 1.2, 24 degrees and a shift of (37, -21).
WINDOW = Crop(np.array([320.0 + 37, 240 - 21]), np.full(2, 480 * 1.2), angle=24.0)
M128 = [
    [0.20301010169835573, 0.09038592068351115, -28.269122936001935],
    [-0.09038592068351115, 0.20301010169835573, 51.80856141207357],
]


@pytest.mark.parametrize(
    ("size_hw", "side", "canvas"),
    [
        ((480, 640), 512, (704, 512)),
        ((333, 500), 512, (768, 512)),  # 768.77 becomes 768
        ((427, 640), 512, (768, 512)),
        ((640, 427), 512, (512, 768)),
        ((37, 23), 512, (512, 832)),
        ((480, 640), 640, (896, 640)),
        ((333, 500), 640, (960, 640)),
        ((427, 640), 640, (960, 640)),
        ((37, 23), 640, (640, 1088)),
        # Where several scales are tested, the canvas is made for the smallest and grows with them.
        ((480, 640), 256, (384, 256)),
        ((37, 23), 256, (256, 448)),
        ((480, 640), 320, (448, 320)),
        ((333, 500), 320, (512, 320)),
        ((37, 23), 320, (320, 576)),
        ((500, 500), 512, (512, 512)),
    ],
)
def test_canvases_are_the_official_ones(size_hw, side, canvas):
    assert fit_short_side(size_hw[::-1], side)[0] == canvas


def test_a_whole_image_lies_in_the_middle_of_its_canvas():
    image = np.random.default_rng(0).integers(1, 256, (333, 500, 3), dtype=np.uint8)
    pixels, frame = ShortSide()(image)
    assert (
        pixels.shape == (512, 768, 3) and pixels.dtype == np.uint8 and (frame.box_xyxy, frame.mirror) == (None, False)
    )
    factor = 1.5375375375375375
    np.testing.assert_allclose(
        frame.matrix, [[factor, 0, -0.3843843843843844], [0, factor, -0.7687687687687836]], atol=1e-12
    )
    frames = Frame.stack([frame])
    back = frames.points_to_image(np.array([[[0, 0], [384, 256], [767.5, 511.5]]]))[0]
    np.testing.assert_allclose(back, [[0.25, 0.5], [250, 167], [499.4248046875, 333.1748046875]], atol=1e-9)


@pytest.mark.parametrize(
    ("size_hw", "canvas", "center", "back"),
    [
        ((480, 640), (704, 512), (320, 240), (-8.125, 1.875)),
        ((333, 500), (768, 512), (250, 167), (1.55078125, 1.80078125)),
        ((640, 427), (512, 768), (214, 320), (2.16796875, 1.41796875)),
    ],
)
def test_points_of_a_whole_image_come_back_as_officially(size_hw, canvas, center, back):
    pixels, frame = ShortSide()(np.zeros((*size_hw, 3), np.uint8))
    assert pixels.shape[1::-1] == canvas
    np.testing.assert_allclose(frame.points_to_image(np.array([[2.0, 2]])), [back], atol=1e-9)
    np.testing.assert_allclose(frame.points_to_input(np.array([center])), [np.array(canvas) / 2], atol=1e-4)


@pytest.mark.parametrize(("size_hw", "canvas"), [((1, 1000), (512, 64)), ((3000, 20), (64, 512))])
def test_a_very_long_image_is_shown_whole_and_does_not_take_all_memory(size_hw, canvas):
    pixels, frame = ShortSide(size=64)(np.full((*size_hw, 3), 255, np.uint8))
    assert pixels.shape[1::-1] == canvas
    corners = frame.points_to_input(np.array([[0.0, 0], [size_hw[1] - 1, size_hw[0] - 1]]))
    assert (corners >= -1).all() and (corners <= np.array(canvas)).all() and np.ptp(corners) > 500


@pytest.mark.parametrize("size", [128, 256, 512])
def test_a_square_of_training_is_cut_by_the_official_matrix(size):
    image = np.zeros((480, 640, 3), np.uint8)
    pixels, frame = ShortSide(size=size)(image, WINDOW)
    assert pixels.shape == (size, size, 3)
    np.testing.assert_allclose(frame.matrix, np.array(M128) * (size / 128), rtol=1e-12)
    known = np.array([[58.386730571514576, 71.60749120095538], [144.74918805664922, 91.29379680882235]])
    got = frame.points_to_input(np.array([[320.0, 240], [639, 479]]))
    np.testing.assert_allclose(got, known * (size / 128), rtol=1e-6)
    assert abs(np.linalg.det(frame.matrix[:, :2])) / (size / 512) ** 2 == pytest.approx(0.7901234567901234, rel=1e-12)


def test_a_mirrored_square_is_the_mirror_image_pixel_for_pixel():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    straight, frame = ShortSide(size=128)(image, WINDOW)
    mirrored, other = ShortSide(size=128)(image, WINDOW._replace(mirror=True))
    assert other.mirror and abs(mirrored[:, ::-1].astype(int) - straight).max() <= 16  # OpenCV rounds places to 1/32
    points = np.array([[320.0, 240], [1, 2]])
    expected = frame.points_to_input(points) * [-1, 1] + [127, 0]
    np.testing.assert_allclose(other.points_to_input(points), expected, atol=1e-4)
    np.testing.assert_allclose(other.points_to_image(other.points_to_input(points)), points, atol=1e-3)


def test_sizes_fit_the_maps():
    with pytest.raises(OptionError, match="a multiple of 64, got 500; 512 is the next one"):
        ShortSide(size=500)


class Drawn:
    """A generator whose next numbers are known."""

    def __init__(self, *uniform, random):
        self.drawn, self.bounds, self.last = list(uniform), [], random

    def uniform(self, low, high, size=None):
        self.bounds.append((low, high))
        return self.drawn.pop(0)

    def random(self):
        return self.last


def test_the_augmentation_draws_what_the_official_code_draws():
    rng = Drawn(1.2, 24.0, np.array([37.0, -21]), random=0.5)
    ask = AffineAugmentation().ask(ShortSide(), (480, 640), None, None, None, rng)
    np.testing.assert_allclose([*ask.center, *ask.size, ask.angle], [357, 219, 576, 576, 24])
    assert not ask.mirror
    np.testing.assert_allclose(rng.bounds, [(0.75, 1.5), (-30, 30), (-115.2, 115.2)])
    assert AffineAugmentation().ask(ShortSide(), (480, 640), None, None, None, Drawn(1, 0, 0, random=0.49)).mirror
