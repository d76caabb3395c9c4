"""Sizes of the published codes; boxes, masks and keypoints move with the pixels."""

import numpy as np
import pytest
import torch
from hrtoolkit.tasks.detection.transforms import ResizeFlip, draw_masks, fit_size

from hrtoolkit.data.loading import collate_padded
from hrtoolkit.necks import Pyramid

from .conftest import rectangle


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
    image = ResizeFlip()(np.zeros((*size_hw, 3), np.uint8), np.empty((0, 4)))["image"]
    images = collate_padded([{"image": image, "meta": {}}])["images"]
    assert tuple(images.shape[-2:]) == padded
    (*_, map_of_stride_64) = Pyramid([1], [4], channels=1)([torch.zeros(1, 1, padded[0] // 4, padded[1] // 4)])
    assert tuple(map_of_stride_64.shape[-2:]) == coarsest


def test_factors_of_mmdetection():
    boxes = ResizeFlip()(np.zeros((480, 640, 3), np.uint8), np.array([[0.0, 0, 1, 1]]))["boxes"]
    assert boxes[0].tolist() == pytest.approx([0, 0, 1.667188, 1.666667], abs=1e-6)


def scene():
    """A bright rectangle, its box, its polygon, its run lengths, and keypoints in the middle of its corner pixels."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:50, 10:30] = 200
    mask = (image[..., 0] > 0).astype(np.uint8)
    counts = np.diff([0, *np.flatnonzero(np.diff(mask.ravel("F"), prepend=0)).tolist(), mask.size]).tolist()
    segmentations = [rectangle(10, 20, 20, 30), {"size": [60, 80], "counts": counts}]
    keypoints = np.array([[(10, 20, 2), (29, 20, 1), (0, 0, 0)]], np.float32)
    return image, np.array([[10.0, 20, 30, 50]] * 2), segmentations, keypoints


def test_boxes_masks_and_keypoints_follow_the_pixels_when_mirrored():
    image, boxes, segmentations, keypoints = scene()
    transform = ResizeFlip(sizes=[(160, 120)], flip=1.0)
    result = transform(image, boxes, segmentations, np.random.default_rng(0), keypoints, flip_order=[1, 0, 2])
    assert result["image"].shape == (120, 160, 3)
    bright = result["image"][..., 0] > 100
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (100, 40, 140, 100)
    assert result["boxes"].tolist() == [[100, 40, 140, 100]] * 2
    assert (result["masks"] == bright).all() and result["masks"].dtype == np.uint8
    # Middles of the rectangle's upper corner pixels, half a pixel inside; left and right have changed places.
    assert result["keypoints"].tolist() == [[[100.5, 40.5, 1], [138.5, 40.5, 2], [0, 0, 0]]]


def test_mirroring_twice_changes_nothing():
    image, boxes, segmentations, keypoints = scene()
    transform = ResizeFlip(sizes=[(80, 60)], flip=1.0)
    once = transform(image, boxes, segmentations[1:] * 2, np.random.default_rng(0), keypoints, [1, 0, 2])
    twice = transform(once["image"], once["boxes"], None, np.random.default_rng(0), once["keypoints"], [1, 0, 2])
    assert (twice["image"] == image).all() and (twice["boxes"] == boxes).all()
    assert (twice["keypoints"] == keypoints).all()


def test_without_a_generator_nothing_is_random_and_with_one_sizes_are_drawn():
    image, boxes, _, _ = scene()
    transform = ResizeFlip(sizes=[(80, 60), (40, 30), (120, 90)], flip=0.5)
    plain = transform(image, boxes)
    assert (plain["image"] == image).all() and (plain["boxes"] == boxes).all()
    drawn = [transform(image, boxes, None, np.random.default_rng(seed)) for seed in range(40)]
    assert {one["image"].shape[:2] for one in drawn} == {(60, 80), (30, 40), (90, 120)}
    mirrored = [one["boxes"][0, 0] / one["image"].shape[1] > 0.3 for one in drawn]
    assert 10 < sum(mirrored) < 30
    again = transform(image, boxes, None, np.random.default_rng(3))
    assert (again["image"] == drawn[3]["image"]).all()


def test_images_without_objects():
    result = ResizeFlip(sizes=[(40, 30)], flip=1.0)(
        scene()[0], np.empty((0, 4)), [], np.random.default_rng(0), np.empty((0, 3, 3)), [1, 0, 2]
    )
    assert result["boxes"].shape == (0, 4) and result["masks"].shape == (0, 30, 40)
    assert result["keypoints"].shape == (0, 3, 3)


def test_a_polygon_with_a_hole_beside_it_is_one_mask():
    two = [rectangle(0, 0, 10, 10)[0], rectangle(20, 20, 10, 10)[0]]
    (mask,) = draw_masks([two], (40, 40), (40, 40))
    assert mask.sum() == 200 and mask[5, 5] and mask[25, 25] and not mask[15, 15]
