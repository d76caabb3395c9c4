"""Crops, targets and decoding in the official manner, against numbers computed with the official code."""

import random

import numpy as np
import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from hrtoolkit.config import load_config
from hrtoolkit.data.pts import read_pts
from hrtoolkit.engine.schedules import fit_schedule
from hrtoolkit.frames import Warp, to_input
from hrtoolkit.keypoints.codecs import DarkHeatmap
from hrtoolkit.keypoints.samples import square_windows
from hrtoolkit.records import Objects
from hrtoolkit.runtime import geometry
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes.faces import AFLW_19, IBUG_68
from hrtoolkit.tasks.face.augmentation import FaceAugmentation
from hrtoolkit.tasks.face.checks import keypoint_boxes
from hrtoolkit.tasks.face.codec import TruncatedHeatmap
from hrtoolkit.tasks.face.datasets import WFLW
from hrtoolkit.tasks.face.head import FaceHead
from hrtoolkit.tasks.face.metric import NME, normalised_errors
from hrtoolkit.tasks.face.views import OfficialFaceCrop
from hrtoolkit.views import Crop

from ..conftest import REPOSITORY

CENTER, SIDE = np.array([489.5, 503.5]), 596.25  # of a face of 300W, the side with its padding


def frames_of(matrix):
    """A batch of one frame; its box and sizes do not matter."""
    return Warp.stack([Warp((720, 960), (256, 256), False, matrix, np.zeros(4), 1.0, 1.0)])


# ------------------------------------------------------------------------------------------------------------ points


@pytest.mark.parametrize(
    ("size", "angle", "expected"),
    [
        (64, 0, [[0.10733752620545073, 0, -20.541719077568132], [0, 0.10733752620545073, -22.044444444444444]]),
        (
            64,
            20,
            [
                [0.10086428130867613, 0.03671159609701098, -35.85735433544198],
                [-0.03671159609701098, 0.10086428130867613, -0.8148393494315513],
            ],
        ),
        (256, 0, [[0.4293501048218029, 0, -82.16687631027253], [0, 0.4293501048218029, -88.17777777777778]]),
    ],
)
def test_the_affine_crop_has_the_official_geometry(size, angle, expected):
    matrix = geometry.crop_matrix(CENTER, (SIDE, SIDE), (size, size), angle)
    np.testing.assert_allclose(matrix, expected, rtol=1e-9, atol=1e-12)


CELLS = [
    ((268.0, 398.882), (8, 20), (5, 29), (17, 10)),
    ((710.702, 482.586), (55, 29), (53, 21), (53, 41)),
    ((615.5, 733.248), (45, 56), (53, 50), (31, 60)),
    ((489.5, 503.5), (32, 32), (32, 32), None),  # at -30 degrees the original's rounding errors decide: (31, 31)
]


@pytest.mark.parametrize(("column", "angle"), [(1, 0), (2, 20), (3, -30)])
def test_landmarks_fall_into_the_official_cells(column, angle):
    matrix = geometry.crop_matrix(CENTER, (SIDE, SIDE), (256, 256), angle)
    rows = [row for row in CELLS if row[column] is not None]
    points = geometry.transform_points(np.array([row[0] for row in rows]), matrix)
    maps, _ = TruncatedHeatmap(sigma=1.0).encode(torch.from_numpy(points)[None], torch.ones(1, len(rows)), (64, 64), 4)
    peaks = [(int(i) % 64, int(i) // 64) for i in maps[0].flatten(1).argmax(1)]
    assert peaks == [row[column] for row in rows]


def test_cutting_goes_towards_zero():
    matrix = geometry.crop_matrix(CENTER, (SIDE, SIDE), (64, 64))
    point = geometry.transform_points(np.array([[150.0, 200.0]]), matrix)
    np.testing.assert_allclose(point, [[-4.441090146750522, -0.5769392033542999]])
    maps, _ = TruncatedHeatmap(sigma=1.5).encode(4 * torch.from_numpy(point)[None], torch.ones(1, 1), (64, 64), 4)
    # Cell (-4, 0): drawn from -8 to 0, and 5 cells beyond its first one is the peak, off the map.
    expected = np.exp(-(3**2 + 1) / 4.5)
    assert maps[0, 0, 0, 0].item() == pytest.approx(expected)
    assert maps[0, 0, :, 1:].abs().max() == 0


@pytest.mark.parametrize(
    ("size", "points", "expected"),
    [
        (256, [(0, 0), (256, 256), (1, 1), (128.5, 128.5)], [(190, 204), (786, 800), (192, 206), (489, 503)]),
        (64, [(32, 32), (32.75, 33.25), (1.5, 1.5), (64.5, 64.5)], [(481, 495), (488, 506), (197, 211), (783, 797)]),
    ],
)
def test_the_way_back_to_the_image(size, points, expected):
    head = FaceHead((4,), (4,), scheme="aflw", integer_points=True)
    matrix = geometry.crop_matrix(CENTER, (SIDE, SIDE), (size, size))
    # The original counts from 1.
    np.testing.assert_array_equal(head.to_image(np.array([points]) - 1.0, frames_of(matrix))[0], expected)


# ------------------------------------------------------------------------------------------------------------- crops


def make_image(height, width):
    y, x = np.mgrid[:height, :width]
    return np.stack([(3 * x + 5 * y) % 200 + 20, (7 * x + 2 * y) % 200 + 20, (x * y) % 200 + 20], axis=-1).astype(
        np.uint8
    )


def official_crop(image, center, scale, size, angle=0.0, contrast_stretch=True):
    view = OfficialFaceCrop(input_size=(size, size), contrast_stretch=contrast_stretch)
    return view(image, Crop(np.array(center, float), np.full(2, 200 * scale), angle=angle))[0]


BIG, SMALL = make_image(300, 400), make_image(60, 80)


@pytest.mark.parametrize(
    ("image", "center", "scale", "angle", "stretch", "sums", "values"),
    [
        (BIG, (200, 150), 0.6375, 0, True, (523154, 524694, 505833), ((46, 155, 115), (182, 117, 66), (41, 55, 77))),
        (BIG, (200, 150), 0.6375, 30, True, (522783, 521379, 504706), ((51, 194, 102), (181, 112, 106), (35, 27, 113))),
        (
            BIG,
            (200, 150),
            0.6375,
            -30,
            True,
            (505588, 519539, 503978),
            ((211, 52, 91), (179, 118, 61), (131, 158, 151)),
        ),
        (BIG, (200, 150), 0.8, 0, True, (548872, 548636, 532620), ((157, 244, 136), (213, 144, 111), (241, 73, 132))),
        (BIG, (20, 30), 0.6, 0, True, (280491, 284428, 269061), ((0, 0, 0), (35, 116, 114), (104, 159, 160))),
        (SMALL, (40, 30), 0.1, 0, True, (362185, 648230, 521124), ((243, 64, 0), (87, 175, 115), (182, 27, 142))),
        (BIG, (200, 150), 0.6375, 0, False, (490192, 491418, 476652), ((56, 141, 110), (162, 111, 71), (52, 63, 80))),
        (BIG, (200, 150), 0.8, 0, False, (489476, 489259, 477700), ((136, 198, 121), (176, 127, 103), (196, 75, 118))),
    ],
)
def test_crops_equal_the_official_ones_bit_for_bit(image, center, scale, angle, stretch, sums, values):
    crop = official_crop(image, center, scale, 64, angle, stretch)
    assert crop.sum(axis=(0, 1)).tolist() == list(sums)
    assert [tuple(crop[i, i].tolist()) for i in (0, 32, -1)] == list(values)


def test_contrast_is_stretched_twice_where_the_image_is_shrunk_first():
    image = np.full((60, 80, 3), 100, np.uint8)
    assert not official_crop(image, (40, 30), 0.16, 16).any()
    image[30, 40] = 101
    assert np.unique(official_crop(image, (40, 30), 0.16, 16)).tolist() == [0, 28, 85, 255]
    assert np.unique(official_crop(image, (40, 30), 0.16, 16, contrast_stretch=False)).tolist() == [100]


def test_windows_off_the_image_are_black():
    for center in ((-500, 30), (40, -500), (900, 30)):
        assert not official_crop(SMALL, center, 0.3, 32).any()
        assert not official_crop(SMALL, center, 0.3, 32, angle=20).any()


@pytest.mark.parametrize(
    ("seed", "factor", "angle", "mirror"),
    [
        (0, 1.1722109257625242, 0, True),
        (1, 0.8171821220562006, 0, False),
        (2, 1.2280171359446248, 0, True),
        (3, 0.8689823135459457, -7.802690007115245, False),
    ],
)
def test_augmentation_is_drawn_in_the_official_order(seed, factor, angle, mirror):
    variation = FaceAugmentation(scale=0.25, rotation=30, flip=0.5).sample(random.Random(seed).random)
    assert variation.factor == pytest.approx(factor, rel=1e-12)
    assert variation.angle == pytest.approx(angle, rel=1e-12)
    assert variation.mirror is mirror


def test_mirrored_landmarks_are_where_the_official_code_puts_them():
    points = np.array([(10, 20), (30, 40), *((i, 2 * i) for i in range(17))], np.float32)
    image = np.zeros((100, 100, 3), np.uint8)
    _, frame = OfficialFaceCrop(input_size=(100, 100))(image, Crop(np.full(2, 50.0), np.full(2, 100.0), mirror=True))
    truth = Objects(np.zeros((1, 4)), np.zeros(1, int), points=points[None], visible=np.ones((1, 19), np.uint8))
    mirrored = to_input(truth, frame, AFLW_19).points
    expected = [(97, 6), (98, 4), (99, 2), (100, 0), (70, 40), (90, 20), (91, 18)]
    # The window is the whole image, mirrored with it: input pixels are image pixels.
    drawn = [0, 1, 2, 4, 5, 6]  # the upper edge of the image is not
    np.testing.assert_allclose(mirrored[0][drawn], np.array(expected)[drawn], atol=1e-5)
    codec = TruncatedHeatmap()
    targets, weights = codec.encode(torch.from_numpy(mirrored), torch.ones(1, 19), (25, 25), 4)
    assert (targets.amax((2, 3)) > 0)[0, :7].tolist() == [k in drawn for k in range(7)]
    assert weights.all()  # what is not drawn counts in the loss
    assert points[0].tolist() == [10, 20]  # the argument is left alone


# ----------------------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("point", "sigma", "total", "nonzero", "x_range", "y_range", "peak"),
    [
        ((20, 30), 1.0, 6.279784851765726, 49, (17, 23), (27, 33), (20, 30)),
        ((20, 30), 1.5, 14.102779952085257, 100, (15, 24), (25, 34), (20, 30)),
        ((2, 10), 1.0, 6.251946263510035, 42, (0, 5), (7, 13), (2, 10)),
        ((63, 63), 1.5, 5.66257406126897, 36, (58, 63), (58, 63), (63, 63)),
        ((2, 10), 1.5, 13.873714133631438, 70, (0, 6), (5, 14), (3, 10)),
        ((4, 10), 1.5, 13.995506017727166, 90, (0, 8), (5, 14), (5, 10)),
        ((0, 0), 1.5, 9.909415077418089, 25, (0, 4), (0, 4), (1, 1)),
        ((-1, 10), 1.5, 8.814540468389168, 40, (0, 3), (5, 14), (0, 10)),
        ((68, 10), 1.5, 0.014517949737637537, 10, (63, 63), (5, 14), None),
        ((69, 10), 1.5, 0, 0, None, None, None),
    ],
)
def test_targets_equal_the_official_ones(point, sigma, total, nonzero, x_range, y_range, peak):
    points = 4 * torch.tensor([[point]], dtype=torch.float64)
    maps, weights = TruncatedHeatmap(sigma).encode(points, torch.ones(1, 1), (64, 64), 4)
    target = maps[0, 0]
    assert target.sum().item() == pytest.approx(total, rel=1e-6)
    assert weights.item() == 1  # what is not drawn counts all the same
    rows, columns = np.nonzero(target.numpy())
    assert len(rows) == nonzero
    if nonzero:
        assert (columns.min(), columns.max()) == x_range
        assert (rows.min(), rows.max()) == y_range
    if peak:
        assert divmod(target.argmax().item(), 64) == peak[::-1]
        assert target.max() == 1


def test_rows_of_a_target():
    points = torch.tensor([[(80.0, 120.0)]], dtype=torch.float64)
    wide = [0.003865920938551426, 0.028565499931573868, 0.1353352814912796, 0.4111122786998749, 0.8007373809814453, 1]
    narrow = [0.011108996346592903, 0.1353352814912796, 0.6065306663513184, 1]
    for sigma, first, row in ((1.5, 15, wide + wide[-2:0:-1]), (1.0, 17, narrow + narrow[-2::-1])):
        target = TruncatedHeatmap(sigma).encode(points, torch.ones(1, 1), (64, 64), 4)[0][0, 0, 30]
        np.testing.assert_allclose(target[first : first + len(row)], row, rtol=1e-6)


def test_the_loss_of_saying_nothing():
    for sigma, expected in ((1.5, 0.0017257), (1.0, 0.00076715)):
        maps, _ = TruncatedHeatmap(sigma).encode(torch.full((1, 1, 2), 128.0), torch.ones(1, 1), (64, 64), 4)
        assert maps.square().mean().item() == pytest.approx(expected, rel=1e-4)


# ---------------------------------------------------------------------------------------------------------- decoding


def make_maps():
    maps = torch.zeros(6, 64, 64)
    for i in (0, 1, 2):
        maps[i, 30, 20] = 1
    maps[0, 30, 21], maps[0, 30, 19], maps[0, 31, 20], maps[0, 29, 20] = 0.6, 0.5, 0.7, 0.4
    maps[1, 30, 21], maps[1, 30, 19], maps[1, 31, 20], maps[1, 29, 20] = 0.5, 0.6, 0.4, 0.7
    maps[2, 30, 21] = maps[2, 30, 19] = 0.5
    maps[3, 30, 0], maps[3, 30, 1], maps[3, 31, 0] = 1, 0.5, 0.5
    maps[5, 63, 63] = 1
    return maps[None]


def test_peaks_shift_a_quarter_and_a_half():
    points, scores = TruncatedHeatmap().decode(make_maps(), 4)
    expected = [(21.75, 31.75), (21.25, 31.25), (21.5, 31.5), (1.5, 31.5), (0.5, 0.5), (64.5, 64.5)]
    np.testing.assert_array_equal(points[0] / 4 + 1, expected)  # the original counts cells from 1
    np.testing.assert_array_equal(scores[0], [1, 1, 1, 1, 0, 1])


@pytest.mark.parametrize(
    ("cell", "expected"),
    [((1, 1), (2.75, 2.75)), ((62, 62), (63.75, 63.75)), ((1, 0), (2.5, 1.5)), ((63, 30), (64.5, 31.5))],
)
def test_a_peak_at_the_border_does_not_shift(cell, expected):
    x, y = cell
    maps = torch.zeros(1, 1, 64, 64)
    maps[0, 0, y : y + 2, x] = maps[0, 0, y, x : x + 2] = 0.5
    maps[0, 0, y, x] = 1
    np.testing.assert_array_equal(TruncatedHeatmap().decode(maps, 4)[0][0, 0] / 4 + 1, expected)


@pytest.mark.parametrize(
    ("center", "scale", "expected"),
    [
        ((489.5, 503.5), 2.98125, [(385, 492), (381, 488), (383, 490), (197, 490), (187, 201), (783, 797)]),
        ((128, 128), 1.28, [(84, 124), (82, 122), (83, 123), (3, 123), (0, 0), (254, 254)]),
        ((100, 80), 0.32, [(89, 79), (89, 79), (89, 79), (69, 79), (68, 48), (132, 112)]),
    ],
)
def test_landmarks_in_the_image_equal_the_official_ones(center, scale, expected):
    head = FaceHead((4,), (4,), scheme="aflw", codec=TruncatedHeatmap(), integer_points=True)
    # The numbers were made with scales in float32, which decides where a landmark falls on a whole pixel.
    matrix = geometry.crop_matrix(np.array(center), np.full(2, 200 * float(np.float32(scale))), (256, 256))
    head.forward = lambda maps: maps[0]
    face = head.predict([make_maps()], frames_of(matrix))[0]
    np.testing.assert_array_equal(face.points[0], expected)


# ------------------------------------------------------------------------------------------------- a face from 300W


@pytest.mark.parametrize(
    ("name", "center", "scale", "cells", "nme"),
    [
        ("indoor_029", (489.5, 503.5), 2.385, ((9, 21), (43, 33), (39, 41)), 0.011384367787255968),
        ("indoor_020", (333, 466), 2.63, ((7, 16), (38, 39), (33, 45)), 0.011236092265195024),
    ],
)
def test_the_whole_protocol_on_real_landmarks(name, center, scale, cells, nme, test_data):
    """Box, target, and the error that cutting to integers leaves when the exact target is read back."""
    points = read_pts(test_data / f"300w/testset/{name}.pts", 68) - 1  # these files are one above the csv
    left, top, width, height = keypoint_boxes(points[None])[0]
    assert (left + width / 2, top + height / 2) == center
    assert max(width, height) / 200 == scale
    matrix = geometry.crop_matrix(np.array(center), np.full(2, 250 * scale), (256, 256))
    inputs = torch.from_numpy(geometry.transform_points(points, matrix))[None]
    codec = TruncatedHeatmap(sigma=1.0)
    maps, _ = codec.encode(inputs, torch.ones(1, 68), (64, 64), 4)
    assert maps.sum().item() == pytest.approx(427.02536992006935, rel=1e-6)
    for landmark, cell in zip((0, 34, 67), cells, strict=True):
        # The original counts cells from 1.
        assert divmod(maps[0, landmark].argmax().item(), 64) == (cell[1] - 1, cell[0] - 1)
    head = FaceHead((4,), (4,), scheme="300w", codec=codec, integer_points=True)
    head.forward = lambda maps: maps[0]
    read = head.predict([maps], frames_of(matrix))[0].points[0]
    if name == "indoor_029":
        assert read[[0, 34, 67]].tolist() == [[271, 397], [588, 509], [551, 583]]
    eyes = np.linalg.norm(points[36] - points[45])
    error = normalised_errors(read[None], points[None], np.ones((1, 68), bool), np.array([eyes]))
    assert error[0] == pytest.approx(nme, rel=1e-6)
    # Exact centres read by a Newton step leave next to nothing.
    clean, _ = DarkHeatmap(2.0).encode(inputs, torch.ones(1, 68), (64, 64), 4)
    decoded = DarkHeatmap(2.0).decode(clean, 4)[0].numpy()
    fraction = geometry.transform_points(decoded, geometry.invert_affine(matrix)[None])
    assert normalised_errors(fraction, points[None], np.ones((1, 68), bool), np.array([eyes]))[0] < 0.001


@pytest.mark.parametrize(
    ("face", "colours", "cells", "nme"),
    [
        (0, (9739240, 7061008, 5138565), ((7, 13), (38, 10), (41, 16)), 0.019690370722690663),
        (3, (8264977, 6655475, 6137943), ((9, 8), (35, 15), (39, 20)), 0.01912319333864259),
    ],
)
def test_the_whole_protocol_on_files_of_wflw(face, colours, cells, nme, test_data):
    folder = "WFLW_annotations/list_98pt_rect_attr_train_test"
    samples = WFLW(data_root=test_data / "wflw", ann_file=f"{folder}/list_98pt_rect_attr_test.txt")
    one, truth = Inputs(samples, OfficialFaceCrop(), samples.scheme)[face], samples.truth(face)
    np.testing.assert_allclose(one.pixels.sum((0, 1)), colours, rtol=2e-4)  # decoders of JPEG differ
    codec = TruncatedHeatmap(sigma=1.5)
    points = to_input(truth, one.frame, samples.scheme).points
    maps, _ = codec.encode(torch.from_numpy(points), torch.ones(1, 98), (64, 64), 4)
    assert maps.sum().item() == pytest.approx(1382.0724353043552, rel=1e-6)
    np.testing.assert_array_equal(np.trunc(points[0][[0, 49, 97]] / 4) + 1, cells)
    head = FaceHead((4,), (4,), scheme="wflw", codec=codec, integer_points=True)
    head.forward = lambda maps: maps[0]
    metric = NME()
    (record,) = head.predict([maps], Warp.stack([one.frame]))
    assert metric.score([metric.measure(record, truth, samples.scheme)], samples.scheme)["NME"] == pytest.approx(
        nme, rel=1e-6
    )


def test_training_samples_of_the_official_manner(test_data):
    """Seeded as the original; the picture is a JPEG here, so that only geometry can be compared."""
    points = (read_pts(test_data / "300w/testset/indoor_029.pts", 68) - 1).astype(np.float32)
    view, augmentation = OfficialFaceCrop(), FaceAugmentation(scale=0.25, rotation=30, flip=0.5)
    source = random.Random(0)
    rng = type("Rng", (), {"random": staticmethod(source.random)})
    (crop,) = view.crops(square_windows(CENTER[None], [SIDE / 1.25]), np.zeros((1, 4)), np.ones(1))
    truth = Objects(np.zeros((1, 4)), np.zeros(1, int), points=points[None], visible=np.ones((1, 68), np.uint8))
    image = np.zeros((720, 960, 3), np.uint8)
    _, frame = view(image, augmentation.ask(view, image.shape[:2], truth, crop, IBUG_68, rng))
    assert 256 / abs(frame.matrix[0, 0]) / 200 == pytest.approx(3.494653822429525, rel=1e-12)
    x, y = np.trunc(to_input(truth, frame, IBUG_68).points[0, 0] / 4) + 1
    assert (x, y) == (14, 16)


def test_the_schedule_drops_after_30_and_50_whole_epochs():
    config = load_config(REPOSITORY / "configs/face/hrnetv2_w18_300w.py")
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=config.optim_wrapper.optimizer.lr)
    options, _ = fit_schedule(config.param_scheduler[0], config.train_cfg.max_epochs, steps=1)
    schedule = PARAM_SCHEDULERS.build({**options, "optimizer": optimizer})
    rates = []
    for _ in range(config.train_cfg.max_epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates, 30 * [1e-4] + 20 * [1e-5] + 10 * [1e-6], rtol=1e-9)
