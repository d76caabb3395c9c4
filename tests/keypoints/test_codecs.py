"""Codecs; the numbers were computed with the official pose code and with OpenMMLab's codecs."""

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit.keypoints.codecs import (
    DarkHeatmap,
    GaussianHeatmap,
    UDPHeatmap,
    draw_gaussians,
    find_peaks,
    flip_heatmaps,
    smooth,
)
from hrtoolkit.runtime import geometry

GRID = (64, 48)  # rows and columns of the heatmaps of 256x192 inputs
CROP_JOINTS = torch.tensor([[[101.3, 77.7], [3, 4], [190, 254], [95.5, 127.5]]])
ALL = torch.ones(1, 4)


def encode(codec, x, y, visible=1.0, heatmap_hw=GRID):
    maps, weights = codec.encode(torch.tensor([[[x, y]]]), torch.tensor([[visible]]), heatmap_hw, 4)
    return maps[0, 0], weights[0, 0].item()


@pytest.mark.parametrize(
    ("x", "y", "peak_xy", "peak", "total", "non_zero"),
    [
        (101.3, 77.7, (25, 19), 1, 25.08128990844125, 169),
        (3.0, 4.0, (1, 1), 1, 15.105333661325858, 64),
        (190.0, 254.0, (47, 63), 0.7788007259368896, 4.016261275522993, 36),
        # The original rounds -25.9 / 4 towards zero, to -5; to the nearest cell it is -6, its map of -26.1.
        (-25.9, 50.0, (0, 13), 0.011108996346592903, 0.0556352152780164, 13),
        (-21.9, 50.0, (0, 13), 0.04393693059682846, 0.2756767587561626, 26),
    ],
)
def test_gaussian_targets_equal_the_official_ones(x, y, peak_xy, peak, total, non_zero):
    heatmap, weight = encode(GaussianHeatmap(sigma=2), x, y)
    assert weight == 1
    assert heatmap.max().item() == pytest.approx(peak, abs=1e-6)
    assert heatmap.double().sum().item() == pytest.approx(total, abs=1e-5)
    assert (heatmap > 0).sum() == non_zero
    assert divmod(heatmap.argmax().item(), 48)[::-1] == peak_xy


@pytest.mark.parametrize(("x", "y", "visible"), [(500.0, 100.0, 1.0), (100.0, 100.0, 0.0), (-30.1, 100.0, 1.0)])
def test_points_off_the_map_or_unlabelled_have_no_weight(x, y, visible):
    # The original gives -30.1 weight 1 with an empty map: a person would be taught to show nothing.
    heatmap, weight = encode(GaussianHeatmap(sigma=2), x, y, visible)
    assert weight == 0
    assert heatmap.max() == 0


def test_gaussian_profile_and_square_window():
    heatmap, _ = encode(GaussianHeatmap(sigma=2), 101.3, 77.7)
    expected = [1, 0.8824968934059143, 0.6065306663513184, 0.32465243339538574, 0.1353352814912796, 0.04393693059682846]
    np.testing.assert_allclose(heatmap[19, 25:33], [*expected, 0.011108996346592903, 0], rtol=1e-5)
    assert heatmap[25, 31].item() == pytest.approx(0.00012340980174485594, rel=1e-5)  # the window keeps its corners
    large, _ = encode(GaussianHeatmap(sigma=3), 143.5, 191.5, heatmap_hw=(96, 72))
    assert divmod(large.argmax().item(), 72)[::-1] == (36, 48)
    assert large.double().sum().item() == pytest.approx(56.382988572178874, abs=1e-5)
    assert (large > 0).sum() == 361


def test_quarter_offset_decoding_equals_the_official_one():
    maps = torch.zeros(1, 5, 8, 6)
    maps[0, 0, 4, 3], maps[0, 0, 4, 4], maps[0, 0, 4, 2], maps[0, 0, 5, 3], maps[0, 0, 3, 3] = 1, 0.6, 0.5, 0.2, 0.7
    maps[0, 1] = -0.5  # nothing found
    maps[0, 2, 3, 1], maps[0, 2, 3, 2] = 0.9, 0.8  # column 1 is not refined
    maps[0, 3, 6, 4] = maps[0, 3, 2, 2] = 0.3  # a tie: the first in row order
    maps[0, 4, 3, 2] = 1  # equal neighbours: no step
    codec = GaussianHeatmap()
    points, scores = codec.decode(maps, 4)
    np.testing.assert_allclose(points[0] / 4, [[3.25, 3.75], [0, 0], [1, 3], [2, 2], [2, 3]])
    np.testing.assert_allclose(scores[0], [1, -0.5, 0.9, 0.3, 1], rtol=1e-6)
    to_image = geometry.invert_affine(geometry.crop_matrix((50, 80), (120, 160), (24, 32)))
    expected = [[55, 75], [-10, 0], [10, 60], [30, 40], [30, 60]]
    np.testing.assert_allclose(geometry.transform_points(points[0].numpy(), to_image), expected, atol=1e-5)


def test_flip_mirrors_swaps_and_shifts():
    maps = torch.arange(24.0).view(1, 4, 2, 3)
    flipped = flip_heatmaps(maps, [0, 2, 1, 3], shift=False)[0]
    expected = [
        [[2, 1, 0], [5, 4, 3]],
        [[14, 13, 12], [17, 16, 15]],
        [[8, 7, 6], [11, 10, 9]],
        [[20, 19, 18], [23, 22, 21]],
    ]
    np.testing.assert_array_equal(flipped, expected)
    np.testing.assert_array_equal(flip_heatmaps(maps, [0, 2, 1, 3], shift=True)[0, 0], [[2, 2, 1], [5, 5, 4]])


@pytest.mark.parametrize("codec", [GaussianHeatmap(), DarkHeatmap(), UDPHeatmap()], ids=lambda c: type(c).__name__)
def test_flipped_maps_of_a_mirrored_input_agree_with_the_maps_of_the_input(codec):
    points = torch.tensor([[[60.0, 100.0], [120.0, 140.0]]])
    mirrored = torch.stack([191 - points[..., 0], points[..., 1]], dim=-1)[:, [1, 0]]
    maps, _ = codec.encode(points, torch.ones(1, 2), GRID, 4)
    back, _ = codec.encode(mirrored, torch.ones(1, 2), GRID, 4)
    decoded, _ = codec.decode(codec.flip(back, [1, 0]), 4)
    # The unit-distance grid is aligned; the plain one is shifted by 1 cell for a misalignment of 3/4: 1 pixel is left,
    # and rounding to cells may add another quarter and a half.
    tolerance = 0.1 if isinstance(codec, UDPHeatmap) else 4.0
    assert (decoded - codec.decode(maps, 4)[0]).abs().max() <= tolerance


def test_encode_and_decode_equal_the_published_codecs():
    plain = GaussianHeatmap()
    decoded, _ = plain.decode(plain.encode(CROP_JOINTS, ALL, GRID, 4)[0], 4)
    np.testing.assert_allclose(decoded[0], [[100, 76], [4, 4], [188, 252], [96, 128]])

    dark = DarkHeatmap()
    maps, _ = dark.encode(CROP_JOINTS, ALL, GRID, 4)
    sums = [25.132741281036246, 14.353684989063884, 6.283185187883104, 25.132741059244196]
    np.testing.assert_allclose(maps.double().sum((-2, -1))[0], sums, atol=1e-5)
    expected = [[101.29930877685547, 77.69895935058594], [4, 4], [188, 252], [95.5002212524414, 127.5002212524414]]
    np.testing.assert_allclose(dark.decode(maps, 4)[0][0], expected, atol=1e-3)

    udp = UDPHeatmap()
    maps, _ = udp.encode(CROP_JOINTS, ALL, GRID, 4)
    sums = [25.079604423044657, 14.26734676174965, 10.495380330683009, 25.061399596363117]
    np.testing.assert_allclose(maps.double().sum((-2, -1))[0], sums, atol=1e-5)
    expected = np.array(
        [
            [101.83031187666222, 78.00482855902777],
            [5.847403992997839, 6.317172580295139],
            [194.0425531914894, 258.031746031746],
            [96, 128.00000775049602],
        ]
    )
    # Theirs are x / (W - 1) * w, undone when mapping to the image; ours are input pixels.
    decoded = udp.decode(maps, 4)[0][0] * torch.tensor([192 / 191, 256 / 255])
    np.testing.assert_allclose(decoded, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("codec", "unbiased", "crop_xy", "image_xy"),
    [
        (GaussianHeatmap(), False, (106.24002075195312, 138.24000549316406), (331.71875, 251.71875)),
        (DarkHeatmap(), False, (106.24002075195312, 138.24000549316406), (330.0010931491852, 250.001078248024)),
        (UDPHeatmap(), True, (105.68666076660156, 137.6999969482422), (329.9999980723604, 250.00001695421008)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_image_point_survives_crop_heatmap_and_back(codec, unbiased, crop_xy, image_xy):
    matrix = geometry.crop_matrix((320, 240), (187.5, 250), (192, 256), unbiased=unbiased)
    crop_point = geometry.transform_points(np.array([[330.0, 250.0]]), matrix)
    np.testing.assert_allclose(crop_point[0], crop_xy, atol=1e-3)
    maps, _ = codec.encode(torch.from_numpy(crop_point)[None].float(), torch.ones(1, 1), GRID, 4)
    decoded = codec.decode(maps, 4)[0][0].double().numpy()
    np.testing.assert_allclose(
        geometry.transform_points(decoded, geometry.invert_affine(matrix))[0], image_xy, atol=1e-3
    )


@pytest.mark.parametrize(
    ("center", "quarter", "dark", "udp"),
    [
        (
            (20.3, 30.6),
            (20.25, 30.75),
            (20.29984474182129, 30.600236892700195),
            (20.30003547668457, 30.599973678588867),
        ),
        ((1.2, 30.6), (1, 31), (1, 31), (1.6668705940246582, 30.5999698638916)),
        ((46.4, 62.7), (46, 63), (46, 63), (45.632564544677734, 63.5)),
    ],
)
def test_decoders_on_analytic_gaussians(center, quarter, dark, udp):
    # Quarter: OpenMMLab moves each axis alone next to a border, (1, 30.75) and (46.25, 63); the official rule neither.
    maps = 0.8 * draw_gaussians(torch.tensor([[center]]), torch.ones(1, 1), 2.0, GRID)
    np.testing.assert_allclose(GaussianHeatmap().decode(maps, 1)[0][0, 0], quarter, atol=1e-4)
    np.testing.assert_allclose(DarkHeatmap().decode(maps, 1)[0][0, 0], dark, atol=1e-3)
    np.testing.assert_allclose(UDPHeatmap().decode(maps, 1)[0][0, 0], udp, atol=1e-3)
    assert DarkHeatmap().decode(maps, 1)[1].item() == maps.max().item()  # scores are those of the unsmoothed maps


def test_smoothing_equals_opencv():
    expected = [
        0.008812229292562288,
        0.027143577143479373,
        0.06511405659938269,
        0.12164907301381962,
        0.1769983568313557,
    ]
    np.testing.assert_allclose(cv2.getGaussianKernel(11, 0)[:5, 0], expected, rtol=1e-6)
    maps = torch.rand(2, 3, 20, 16, generator=torch.Generator().manual_seed(0))
    for one, result in zip(maps.flatten(0, 1), smooth(maps, 11).flatten(0, 1), strict=True):
        padded = cv2.GaussianBlur(np.pad(one.numpy(), 5), (11, 11), 0)[5:-5, 5:-5]
        np.testing.assert_allclose(result, padded * (one.max().item() / padded.max()), rtol=1e-4)


@pytest.mark.parametrize("codec", [GaussianHeatmap(), DarkHeatmap(), UDPHeatmap()], ids=lambda c: type(c).__name__)
def test_decode_inverts_encode(codec):
    generator = torch.Generator().manual_seed(0)
    # Away from the border, where no decoder is exact.
    points = torch.rand(8, 17, 2, generator=generator) * torch.tensor([140.0, 200.0]) + 24
    maps, weights = codec.encode(points, torch.ones(8, 17), GRID, 4)
    assert weights.min() == 1
    decoded, _ = codec.decode(maps, 4)
    # Rounding to the grid moves a point by at most half a cell, 2 input pixels; the exact ones lose far less.
    tolerance = 2.0 if isinstance(codec, GaussianHeatmap) else 0.05
    assert (decoded - points).abs().max() <= tolerance


def test_peaks_of_flat_or_negative_maps_are_the_first_cell():
    cells, scores = find_peaks(torch.stack([torch.zeros(4, 5), -torch.rand(4, 5)])[None])
    assert cells.tolist() == [[[0, 0], [0, 0]]]
    assert (scores <= 0).all()


def test_decoding_loops_over_nothing_but_agrees_with_a_loop():
    maps = torch.rand(4, 5, 16, 12, generator=torch.Generator().manual_seed(1)) - 0.2
    points, _ = GaussianHeatmap().decode(maps, 4)
    for b in range(4):
        for k in range(5):
            one = maps[b, k]
            y, x = divmod(one.argmax().item(), 12)
            dx = dy = 0.0
            if 1 < x < 11 and 1 < y < 15:
                dx = 0.25 * np.sign((one[y, x + 1] - one[y, x - 1]).item())
                dy = 0.25 * np.sign((one[y + 1, x] - one[y - 1, x]).item())
            assert points[b, k].tolist() == [4 * (x + dx), 4 * (y + dy)]


def test_even_blur_kernel_is_refused():
    with pytest.raises(ValueError, match="odd number of cells, got 10"):
        DarkHeatmap(blur_kernel=10)
