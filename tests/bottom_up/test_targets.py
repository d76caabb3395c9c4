"""The people of an image in an input: who is learnt, where it counts, and left and right."""

import numpy as np
import pytest
import torch

from hrtoolkit.data.loading import Collate
from hrtoolkit.frames import Warp, to_input
from hrtoolkit.masks import Masks
from hrtoolkit.records import Objects
from hrtoolkit.samples import Input
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tasks.bottom_up.targets import dim_unused, draw_people, people_targets
from hrtoolkit.tasks.bottom_up.views import ShortSide
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.views import Crop

from .test_views import WINDOW

IMAGE = np.full((480, 640, 3), 200, np.uint8)


def make_people(count, ignored=(), masks=None):
    """People 40 pixels apart, whose joints lie on a diagonal."""
    first = np.arange(count)[:, None, None] * 40.0 + 200
    points = (first + np.arange(17)[:, None] * [3, 5]).astype(np.float32)
    visible = np.full((count, 17), 2, np.uint8)
    visible[:, 3] = 0
    boxes = np.stack([[x, x, x + 100, x + 120] for x in first[:, 0, 0]]) if count else np.zeros((0, 4))
    flags = np.isin(np.arange(count), ignored)
    areas = np.arange(count) + 900.0
    return Objects(boxes, np.zeros(count, int), None, points, visible, masks=masks, areas=areas, ignored=flags)


def make_targets(record, ask=WINDOW, size=128):
    frame = ShortSide(size=size)(IMAGE, ask)[1]
    return people_targets(to_input(record, frame, COCO), frame), frame


def test_people_lie_in_the_input_as_their_joints_do():
    record = make_people(3, ignored=[1])
    targets, frame = make_targets(record)
    shapes = {name: (value.shape, str(value.dtype)) for name, value in targets.items()}
    assert shapes == {
        "points": ((2, 17, 2), "float32"),
        "visible": ((2, 17), "float32"),
        "corners": ((2, 4, 2), "float32"),
        "areas": ((2,), "float32"),
        "scale": ((), "float32"),
        "use": ((128, 128), "uint8"),
        "mirrored": ((), "bool"),
    }
    np.testing.assert_allclose(targets["points"], frame.points_to_input(record.points[[0, 2]]))
    assert targets["visible"].sum() == 32 and set(targets["visible"].ravel()) == {0, 1}
    assert targets["areas"].tolist() == [900, 902] and not targets["mirrored"]
    assert targets["scale"] == np.float32(0.7901234567901234 / 16)


def test_corners_keep_the_order_of_the_image_and_are_the_official_ones():
    record = make_people(1)._replace(boxes_xyxy=np.array([[320.0, 200, 420, 320]]))
    expected = [
        (54.77129374417413, 63.48708713302115),
        (75.07230391400971, 54.44849506467004),
        (65.61760422619547, 87.84829933682384),
        (85.91861439603105, 78.80970726847272),
    ]
    np.testing.assert_allclose(make_targets(record)[0]["corners"][0], expected, rtol=1e-6)
    targets, _ = make_targets(record, WINDOW._replace(mirror=True))
    np.testing.assert_allclose(targets["corners"][0], np.array(expected) * [-1, 1] + [127, 0], rtol=1e-6)
    assert targets["mirrored"] and targets["scale"] > 0


def test_a_mirrored_person_has_left_and_right_exchanged_and_lies_on_the_mirrored_pixels():
    record = make_people(1)
    straight, _ = make_targets(record)
    mirrored, _ = make_targets(record, WINDOW._replace(mirror=True))
    order = COCO.flip_order()
    assert mirrored["visible"][0].tolist() == straight["visible"][0][order].tolist()
    np.testing.assert_allclose(mirrored["points"][..., 0], 127 - straight["points"][:, order, 0], atol=1e-4)
    np.testing.assert_allclose(mirrored["points"][..., 1], straight["points"][:, order, 1], atol=1e-4)


def test_what_is_ignored_and_what_is_beyond_the_image_is_not_used():
    rectangle = [300.0, 200, 420, 200, 420, 320, 300, 320]
    record = make_people(2, ignored=[1], masks=Masks((480, 640), [[], [rectangle]]))
    without, _ = make_targets(record._replace(masks=None))
    with_masks, frame = make_targets(record)
    # As the official code has it for the same region: 12334 of 128 x 128, give or take what rasterising polygons costs.
    assert abs(int(with_masks["use"].sum()) - 12334) <= 3
    assert (with_masks["use"] <= without["use"]).all() and without["use"].max() == 1
    y, x = np.mgrid[:128, :128]
    places = frame.points_to_image(np.stack([x, y], axis=-1))
    inside = ((places > -0.4) & (places < np.array([639, 479]) + 0.4)).all(axis=-1)
    assert (without["use"][inside] == 1).mean() > 0.999
    assert not without["use"][((places < -1) | (places > np.array([640, 480]))).any(axis=-1)].any()
    # A cell of a coarser map stands on every fourth pixel: the official code warps once more to its size.
    fine, _ = make_targets(record, size=512)
    assert abs(int(fine["use"][::4, ::4].sum()) - 12334) <= 3


@pytest.mark.parametrize(
    ("image", "people", "used", "cells"),
    [
        (217285, 13, 9481, [8, 8, 5, 7, 3, 10, 11, 7, 9, 7, 6, 7, 9, 2, 3, 2, 2]),
        (183709, 4, 14347, [1, 1, 0, 1, 1, 2, 2, 1, 1, 0, 2, 0, 1, 0, 0, 0, 0]),
    ],
)
def test_real_images_have_the_official_joints_and_crowd_masks(test_data, image, people, used, cells):
    folder, file = test_data / "coco", "annotations/person_keypoints_val2017.json"
    samples = CocoKeypoints(data_root=folder, ann_file=file, image_dir="val2017", masks=True)
    sample = samples.images.ids.tolist().index(image)
    pixels = samples.read(sample)
    height, width = pixels.shape[:2]
    window = Crop(np.array([width / 2 + 5, height / 2 - 3]), np.full(2, min(height, width) * 1.1), angle=20.0)
    _, frame = ShortSide(size=512)(pixels, window)
    targets = people_targets(to_input(samples.to_learn(sample), frame, COCO), frame)
    assert len(targets["points"]) == people and int(targets["use"][::4, ::4].sum()) == used
    places = np.trunc(targets["points"] / 4)
    shown = (targets["visible"] > 0) & ((places >= 0) & (places < 128)).all(axis=-1)
    assert [len(np.unique(places[shown[:, k], k], axis=0)) for k in range(17)] == cells


def test_a_mask_of_somebody_learnt_is_no_matter():
    everywhere = [0.0, 0, 640, 0, 640, 480, 0, 480]
    record = make_people(1, masks=Masks((480, 640), [[everywhere]]))
    assert make_targets(record)[0]["use"].sum() == make_targets(make_people(1))[0]["use"].sum()


def test_an_image_without_people_has_targets_too_and_goes_into_a_batch():
    inputs = []
    for index, count in enumerate((0, 3)):
        targets, frame = make_targets(make_people(count))
        assert targets["points"].shape == (count, 17, 2) and targets["corners"].shape == (count, 4, 2)
        inputs.append(Input(index, np.zeros((128, 128, 3), np.uint8), frame, targets))
    batch = Collate(ShortSide.multiple)(inputs)
    assert [len(one["points"]) for one in batch["targets"]] == [0, 3] and isinstance(batch["frames"], Warp)
    assert all(isinstance(value, torch.Tensor) for value in batch["targets"][0].values())


def test_targets_are_drawn_over_the_image_and_dark_where_they_do_not_count():
    pixels, _ = ShortSide(size=128)(IMAGE, WINDOW)
    targets, _ = make_targets(make_people(2))
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in targets.items()}
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    (picture,) = draw_people(torch.nn.functional.pad(image, (0, 64)), [tensors], COCO)
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
    assert (picture[targets["use"] == 0] <= 50).all(-1).mean() > 0.99
    x, y = targets["points"][0, 5].round().astype(int)
    assert (picture[y, x] != 200).any()
    coarse = dim_unused(pixels, targets["use"][::4, ::4], stride=4)
    assert coarse.shape == (128, 128, 3)
    assert (
        coarse[::4, ::4] == np.where(targets["use"][::4, ::4, None] > 0, pixels[::4, ::4], pixels[::4, ::4] // 4)
    ).all()
