"""Boxes and crop matrices; the numbers were computed with the official pose code (Xiao et al., ECCV 2018)."""

import cv2
import numpy as np
import pytest

from hrtoolkit.runtime import geometry


@pytest.mark.parametrize(
    ("box", "center", "size"),
    [
        ((100, 50, 80, 200), (140, 150), (187.5, 250)),
        ((100, 50, 300, 100), (250, 100), (375, 500)),
        ((10.5, 20.25, 75, 100), (48, 70.25), (93.75, 125)),
        ((0, 10.25, 119.5, 299.75), (59.75, 160.125), (281.01563453674316, 374.6874809265137)),
    ],
)
def test_box_becomes_a_padded_window_of_the_crops_aspect(box, center, size):
    centers, sizes = geometry.box_to_center(np.array(box, dtype=np.float64))
    np.testing.assert_allclose(centers, center)
    # The original keeps float32.
    np.testing.assert_allclose(geometry.grow_to_aspect(sizes, 192 / 256) * 1.25, size, rtol=1e-6)


def test_boxes_are_clipped_like_the_official_code():
    boxes = np.array([(-3.5, 10.25, 120.5, 300.75), (600, 400, 60, 100), (0, 0, 640, 480), (50, 60, 0.5, 0.25)])
    expected = [(0, 10.25, 119.5, 299.75), (600, 400, 39, 79), (0, 0, 639, 479), (50, 60, 0, 0)]
    np.testing.assert_array_equal(geometry.clip_boxes(boxes, np.array([640, 480])), expected)


@pytest.mark.parametrize(
    ("center", "size", "angle", "output_wh", "expected"),
    [
        ((320, 240), (187.5, 250), 0, (192, 256), [[1.024, 0, -231.68], [0, 1.024, -117.76]]),
        ((320, 240), (187.5, 250), 0, (288, 384), [[1.536, 0, -347.52], [0, 1.536, -176.64]]),
        (
            (320, 240),
            (187.5, 250),
            30,
            (192, 256),
            [
                [0.8868100202128973, 0.5120000116699219, -310.65920926890846],
                [-0.5120000116699222, 0.8868100202128979, 79.00559888327957],
            ],
        ),
        (
            (320, 240),
            (187.5, 250),
            -45,
            (192, 256),
            [
                [0.7240773545367161, -0.724077354536716, 38.073811637062676],
                [0.7240773545367161, 0.7240773545367166, -277.48331854056113],
            ],
        ),
        (
            (123.25, 87.5),
            (0.615 * 200, 0.82 * 200),
            17.5,
            (192, 256),
            [
                [1.4887288200522768, 0.46939442811704885, -128.55783953168486],
                [-0.4693944281170486, 1.488728868464057, 55.589087274821246],
            ],
        ),
    ],
)
def test_crop_matrix_maps_points_like_the_official_code(center, size, angle, output_wh, expected):
    matrix = geometry.crop_matrix(center, size, output_wh, angle)
    # The original rounds its three points to float32: mapped points agree to a thousandth of a pixel.
    corners = np.array([[0.0, 0], [640, 0], [0, 480], [640, 480]])
    mapped, official = (geometry.transform_points(corners, m) for m in (matrix, np.array(expected)))
    np.testing.assert_allclose(mapped, official, atol=1e-3)


def test_points_map_into_the_crop_and_heatmap_cells_back_into_the_image():
    matrix = geometry.crop_matrix((320, 240), (187.5, 250), (192, 256), angle=30)
    points = np.array([[320.0, 240], [300.5, 200.25], [0, 0]])
    expected = [[96, 128], [58.35520414196907, 102.73330192410077], [-310.65920926890846, 79.00559888327957]]
    np.testing.assert_allclose(geometry.transform_points(points, matrix), expected, atol=1e-3)
    inverse = geometry.invert_affine(geometry.crop_matrix((320, 240), (187.5, 250), (48, 64)))
    np.testing.assert_allclose(inverse, [[3.90625, 0, 226.25], [0, 3.90625, 115]])
    cells = np.array([[0.0, 0], [47, 63], [23.75, 31.25]])
    expected = [[226.25, 115], [409.84375, 361.09375], [319.0234375, 237.0703125]]
    np.testing.assert_allclose(geometry.transform_points(cells, inverse), expected)


def test_unbiased_crop_puts_first_and_last_pixel_centres_on_the_windows_edges():
    matrix = geometry.crop_matrix((320, 240), (187.5, 250), (192, 256), unbiased=True)
    # Numbers of OpenMMLab's UDP crop, float32.
    expected = [[1.0186666250228882, 0, -230.47332763671875], [0, 1.0199999809265137, -117.29999542236328]]
    np.testing.assert_allclose(matrix, expected, rtol=1e-6)
    rotated = geometry.crop_matrix(
        (320, 240), (187.5, 250), (192, 256), angle=-30, unbiased=True
    )  # theirs is clockwise
    expected = [
        [0.8821911811828613, -0.5093333125114441, -64.56116485595703],
        [0.5099999904632568, 0.883345901966095, -247.70301818847656],
    ]
    np.testing.assert_allclose(rotated, expected, rtol=1e-6, atol=1e-4)


def test_mirroring_inside_the_matrix_equals_mirroring_the_image_first():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8), (0, 0), 2)
    size, mirrored_center = np.array([60.0, 80.0]), np.array([119 - 50.0, 40.0])
    folded = geometry.crop_matrix(mirrored_center, size, (48, 64), angle=20, mirror_width=120)
    plain = geometry.crop_matrix(mirrored_center, size, (48, 64), angle=20)
    a = cv2.warpAffine(image, folded, (48, 64)).astype(int)
    b = cv2.warpAffine(np.ascontiguousarray(image[:, ::-1]), plain, (48, 64)).astype(int)
    assert np.abs(a - b).max() <= 1


def test_inverse_undoes_the_map_for_a_batch():
    rng = np.random.default_rng(0)
    matrices = np.stack(
        [geometry.crop_matrix(rng.uniform(50, 400, 2), [90, 120], (192, 256), angle) for angle in (0, 33, -80)]
    )
    points = rng.uniform(0, 500, (3, 17, 2))
    there = geometry.transform_points(points, matrices)
    np.testing.assert_allclose(geometry.transform_points(there, geometry.invert_affine(matrices)), points, atol=1e-9)
