"""Sizes of the published codes; boxes, masks and points move with the pixels, and boxes come back."""

import numpy as np
import pytest
import torch

from hrtoolkit.data.loading import Collate
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import to_input
from hrtoolkit.masks import Masks
from hrtoolkit.necks import Pyramid
from hrtoolkit.records import Objects
from hrtoolkit.runtime.views import fit_size
from hrtoolkit.samples import Input
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.tasks.detection.augmentation import ResizeAugmentation
from hrtoolkit.tasks.detection.views import Fit, FitInside

from .conftest import make_frames, rectangle

SCHEME = KeypointScheme(names=("left", "right", "middle"), mirrored=(("left", "right"),))


@pytest.mark.parametrize(
    ("size_hw", "nearest", "down", "padded", "coarsest"),
    [
        ((480, 640), (800, 1067), (800, 1066), (800, 1088), (12, 17)),
        ((427, 640), (800, 1199), (800, 1199), (800, 1216), (12, 19)),
        ((375, 500), (800, 1067), (800, 1066), (800, 1088), (12, 17)),
        ((333, 500), (800, 1201), (800, 1201), (800, 1216), (12, 19)),
        ((200, 640), (417, 1333), (416, 1333), (448, 1344), (7, 21)),
        ((1080, 1920), (750, 1333), (749, 1333), (768, 1344), (12, 21)),
        ((640, 425), (1205, 800), (1204, 800), (1216, 800), (19, 12)),
    ],
)
def test_sizes_of_mmdetection_and_torchvision(size_hw, nearest, down, padded, coarsest):
    assert fit_size(size_hw, 1333, 800) == nearest
    assert fit_size(size_hw, 1333, 800, "down") == down
    view = FitInside()
    pixels, frame = view(np.zeros((*size_hw, 3), np.uint8))
    assert pixels.shape[:2] == frame.input_hw == frame.content_hw == nearest
    images = Collate(view.multiple, view.smallest)([Input(0, pixels, frame)])["images"]
    assert tuple(images.shape[-2:]) == padded
    (*_, map_of_stride_64) = Pyramid([1], [4], channels=1)([torch.zeros(1, 1, padded[0] // 4, padded[1] // 4)])
    assert tuple(map_of_stride_64.shape[-2:]) == coarsest


def test_factors_of_mmdetection():
    _, frame = FitInside()(np.zeros((480, 640, 3), np.uint8))
    boxes = frame.boxes_to_input(np.array([[0.0, 0, 1, 1]]))
    assert boxes[0].tolist() == pytest.approx([0, 0, 1.667188, 1.666667], abs=1e-6)


def test_boxes_scale_back_by_the_factor_of_each_axis():
    frame = make_frames([(800, 1067)], (480, 640))[0]
    boxes = frame.boxes_to_image(torch.tensor([[0.0, 0, 1067, 800]]))
    torch.testing.assert_close(boxes, torch.tensor([[0.0, 0, 640, 480]]))


def test_boxes_that_end_with_their_last_pixel_come_back():
    boxes = np.array([[10.0, 20, 50, 80], [0, 0, 640, 480]])
    view, image = FitInside(convention="authors"), np.zeros((480, 640, 3), np.uint8)
    _, frame = view(image)
    scaled = frame.boxes_to_input(boxes)
    assert scaled[0].tolist() == pytest.approx([10 * 1067 / 640, 20 / 0.6, 49 * 1067 / 640 + 1, 79 / 0.6 + 1])
    mirrored = view(image, Fit(view.size, mirror=True))[1].boxes_to_input(boxes)  # x becomes width - 1 - x
    assert (mirrored[0, [0, 2]] - (0, 1)).tolist() == pytest.approx([1066 - 49 * 1067 / 640, 1066 - 10 * 1067 / 640])
    back = frame.boxes_to_image(torch.from_numpy(scaled))
    torch.testing.assert_close(back.double(), torch.from_numpy(boxes), atol=1e-4, rtol=0)


def scene():
    """A bright rectangle as box, polygon and run lengths, and points in the middle of its corner pixels."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:50, 10:30] = 200
    mask = (image[..., 0] > 0).astype(np.uint8)
    counts = np.diff([0, *np.flatnonzero(np.diff(mask.ravel("F"), prepend=0)).tolist(), mask.size]).tolist()
    objects = Objects(
        boxes_xyxy=np.array([[10.0, 20, 30, 50]] * 2),
        labels=np.zeros(2, np.int64),
        points=np.array([[(10, 20), (29, 20), (0, 0)]] * 2, np.float32),
        visible=np.array([[2, 1, 0]] * 2, np.uint8),
        masks=Masks((60, 80), [rectangle(10, 20, 20, 30), {"size": [60, 80], "counts": counts}]),
    )
    return image, objects


def test_boxes_masks_and_points_follow_the_pixels_when_mirrored():
    image, objects = scene()
    pixels, frame = FitInside(size=(160, 120))(image, Fit((160, 120), mirror=True))
    moved = to_input(objects, frame, SCHEME)
    assert pixels.shape == (120, 160, 3)
    bright = pixels[..., 0] > 100
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (100, 40, 140, 100)
    assert moved.boxes_xyxy.tolist() == [[100, 40, 140, 100]] * 2
    assert (moved.masks == bright).all() and moved.masks.dtype == np.uint8
    # Middles of the rectangle's upper corner pixels, half a pixel inside; left and right have changed places.
    assert moved.points[:, :2].tolist() == [[[100.5, 40.5], [138.5, 40.5]]] * 2
    assert moved.visible.tolist() == [[1, 2, 0]] * 2


def test_mirroring_twice_changes_nothing():
    image, objects = scene()
    view, ask = FitInside(size=(80, 60)), Fit((80, 60), mirror=True)
    pixels, frame = view(image, ask)
    once = to_input(objects._replace(masks=None), frame, SCHEME)
    again, frame = view(pixels, ask)
    twice = to_input(once, frame, SCHEME)
    assert (again == image).all() and (twice.boxes_xyxy == objects.boxes_xyxy).all()
    assert (twice.points == objects.points).all() and (twice.visible == objects.visible).all()


def test_a_view_draws_nothing_and_augmentation_draws_sizes_and_mirroring():
    image, objects = scene()
    view = FitInside(size=(80, 60))
    pixels, frame = view(image)
    assert (pixels == image).all() and (frame.boxes_to_input(objects.boxes_xyxy) == objects.boxes_xyxy).all()

    def draw(augmentation, seed):
        return augmentation.ask(view, image.shape[:2], objects, None, SCHEME, np.random.default_rng(seed))

    several = ResizeAugmentation([(80, 60), (30, 40), (120, 90)], flip=0.5)
    drawn = [draw(several, seed) for seed in range(40)]
    assert {view(image, ask)[0].shape[:2] for ask in drawn} == {(60, 80), (30, 40), (90, 120)}
    assert 10 < sum(ask.mirror for ask in drawn) < 30
    assert draw(several, 3) == drawn[3]
    assert {draw(ResizeAugmentation(flip=1.0), seed) for seed in range(5)} == {Fit((80, 60), mirror=True)}


def test_what_is_no_pair_of_sides_is_refused():
    with pytest.raises(OptionError, match=r"a longest and a shortest side, got \(1333,\)"):
        FitInside(size=(1333,))
    with pytest.raises(OptionError, match=r"a longest and a shortest side, got \[0, 800\]"):
        ResizeAugmentation([[0, 800]])
    with pytest.raises(OptionError, match="sizes takes pairs of a longest and a shortest side"):
        ResizeAugmentation([])


def test_images_without_objects():
    image, objects = scene()
    nothing = objects.select(slice(0, 0))
    moved = to_input(nothing, FitInside(size=(40, 30))(image, Fit((40, 30), mirror=True))[1], SCHEME)
    assert moved.boxes_xyxy.shape == (0, 4) and moved.masks.shape == (0, 30, 40) and moved.points.shape == (0, 3, 2)


def test_a_polygon_with_a_hole_beside_it_is_one_mask():
    two = [rectangle(0, 0, 10, 10)[0], rectangle(20, 20, 10, 10)[0]]
    (mask,) = Masks((40, 40), [two]).draw()
    assert mask.sum() == 200 and mask[5, 5] and mask[25, 25] and not mask[15, 15]


@pytest.mark.parametrize(
    ("convention", "float_resize", "last_pixel"),
    [
        ("mmdet", False, False),
        ("torchvision", True, False),
        ("authors", False, True),
        ("maskrcnn-benchmark", False, True),
    ],
)
def test_a_runtime_is_told_what_the_convention_says(convention, float_resize, last_pixel):
    told = FitInside(size=(800, 1333), convention=convention).portable()
    rules = {"float_resize": float_resize, "last_pixel": last_pixel}
    assert told == {"type": "FitInside", "size": (1333, 800), "convention": convention, **rules}
