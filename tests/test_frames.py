"""Frames: an image and an input of it, there and back, by the conventions of points and of boxes."""

import numpy as np
import pytest
import torch

from hrtoolkit.frames import Frame, Resized, Warp, to_input
from hrtoolkit.masks import Masks
from hrtoolkit.records import Category, LabelMap, Objects
from hrtoolkit.schemes import ClassScheme, KeypointScheme

HALF = np.array([[0.5, 0, 0], [0, 0.5, 0]])
LEFT_RIGHT = KeypointScheme(("left", "right", "nose"), mirrored=(("left", "right"),))


def resized(mirror=False, window=(0, 0, 40, 20), scaled_hw=(20, 40), input_hw=None, **options):
    content = (window[3], window[2])
    return Resized((10, 20), input_hw or content, mirror, scaled_hw, window, content, **options)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("window", [(0, 0, 40, 20), (6, 4, 20, 10)])
def test_points_of_a_resized_image_come_back(mirror, window):
    frame = resized(mirror, window)
    points = np.random.default_rng(0).uniform(0, 10, (3, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(frame.points_to_image(frame.points_to_input(points)), points, atol=1e-5)


def test_points_are_centres_and_boxes_are_edges():
    frame = resized()
    # The first pixel's centre lies half a pixel from the edge, before and after doubling.
    np.testing.assert_array_equal(frame.points_to_input(np.zeros((1, 2))), [[0.5, 0.5]])
    np.testing.assert_array_equal(frame.boxes_to_input(np.array([[0.0, 0, 20, 10]])), [[0, 0, 40, 20]])
    np.testing.assert_array_equal(resized(True).points_to_input(np.zeros((1, 2))), [[38.5, 0.5]])
    np.testing.assert_array_equal(resized(True).boxes_to_input(np.array([[0.0, 0, 5, 10]])), [[30, 0, 40, 20]])


def test_boxes_may_count_their_last_pixel_and_come_back_as_tensors():
    frame = resized(last_pixel=True)
    boxes = np.array([[2.0, 3, 5, 7]])
    mapped = frame.boxes_to_input(boxes)
    np.testing.assert_array_equal(mapped, [[4, 6, 9, 13]])  # x2 - 1 and y2 - 1 are doubled
    back = frame.boxes_to_image(torch.from_numpy(mapped))
    assert isinstance(back, torch.Tensor)
    np.testing.assert_allclose(back.numpy(), boxes)


def test_a_label_map_takes_the_nearest_pixel_is_mirrored_and_padded_with_ignored():
    labels = np.arange(200, dtype=np.uint8).reshape(10, 20) % 3
    frame = resized(True, window=(6, 4, 20, 10), input_hw=(12, 24))
    got = frame.labels_to_input(labels, [1, 0, 2])
    for row in range(10):
        for column in range(20):
            true = labels[(4 + row) // 2, (6 + 19 - column) // 2]
            assert got[row, column] == {0: 1, 1: 0, 2: 2}[true]
    assert (got[10:] == 255).all() and (got[:, 20:] == 255).all()


def test_a_warp_maps_points_and_boxes_by_their_own_rule():
    frame = Warp((100, 80), (50, 40), False, HALF)
    np.testing.assert_array_equal(frame.points_to_input(np.array([[10.0, 4]])), [[5, 2]])
    boxes = np.array([[10.0, 4, 30, 44]])
    # Edges lie half a pixel before the centres that the matrix maps.
    np.testing.assert_array_equal(frame.boxes_to_input(boxes), [[5.25, 2.25, 15.25, 22.25]])
    np.testing.assert_allclose(frame.boxes_to_image(frame.boxes_to_input(boxes)), boxes)


def test_a_mirrored_record_exchanges_left_and_right():
    mirrored = np.array([[-1.0, 0, 79], [0, 1, 0]])
    frame = Warp((100, 80), (100, 80), True, mirrored)
    points = np.array([[[10, 5], [60, 5], [40, 9]]], np.float32)
    record = Objects(np.array([[0.0, 0, 80, 100]]), np.zeros(1, int), points=points, visible=np.array([[2, 0, 1]]))
    seen = to_input(record, frame, LEFT_RIGHT)
    np.testing.assert_array_equal(seen.points[0], [[19, 5], [69, 5], [39, 9]])
    assert seen.visible.tolist() == [[0, 2, 1]]
    classes = ClassScheme(("left arm", "right arm"), mirrored=(("left arm", "right arm"),))
    label_map = np.zeros((100, 80), np.uint8)
    label_map[:, 40:] = 1
    np.testing.assert_array_equal(to_input(LabelMap(label_map), frame, classes).label_map, label_map)
    assert to_input(Category(3), frame, classes) == Category(3)


def test_boxes_beside_points_become_corners_in_a_turned_image_and_none_in_a_crop():
    quarter = np.array([[0.0, 1, 2], [-1, 0, 40]])  # (x, y) -> (y + 2, 40 - x)
    frame = Warp((30, 40), (41, 33), False, quarter)
    points, visible = np.ones((1, 3, 2), np.float32), np.full((1, 3), 2, np.uint8)
    record = Objects(np.array([[5.0, 10, 25, 16]]), np.zeros(1, int), points=points, visible=visible)
    corners = to_input(record, frame, LEFT_RIGHT).boxes_xyxy
    assert corners.dtype == np.float32 and corners.tolist() == [[[12, 35], [12, 15], [18, 35], [18, 15]]]
    assert to_input(record.select(slice(0)), frame, LEFT_RIGHT).boxes_xyxy.shape == (0, 4, 2)
    crop = Warp((30, 40), (41, 33), False, quarter, box_xyxy=record.boxes_xyxy[0])
    assert to_input(record, crop, LEFT_RIGHT).boxes_xyxy is None
    boxes = to_input(Objects(record.boxes_xyxy, record.labels), frame, LEFT_RIGHT).boxes_xyxy
    np.testing.assert_allclose(boxes, [[12, 16, 18, 36]])  # without points they surround it, by their edges


def test_masks_follow():
    masks = Masks((10, 20), [[[2.0, 2, 6, 2, 6, 4, 2, 4]]])
    assert resized().masks_to_input(masks).sum() == 4 * 8
    assert Warp((10, 20), (5, 10), False, HALF).masks_to_input(masks).shape == (1, 5, 10)


def test_frames_of_a_batch_are_arrays_and_give_back_each_frame():
    several = [resized(mirror, (m, 0, 30, 20)) for m, mirror in enumerate((False, True, False))]
    batch = Frame.stack(several)
    assert batch.input_hw.shape == (3, 2) and batch.window.shape == (3, 4) and len(batch) == 3
    for index, frame in enumerate(several):
        assert batch[index].image_hw == frame.image_hw and batch[index].mirror is frame.mirror
        np.testing.assert_array_equal(batch[index].window, frame.window)
    assert len(batch[1:]) == 2
    warps = Frame.stack([Warp((9, 9), (4, 4), False, k * HALF, np.ones(4), 0.5, 3.0) for k in (1, 2)])
    points = np.ones((2, 3, 2))
    np.testing.assert_allclose(warps.points_to_image(points)[:, 0], [[2, 2], [1, 1]])
