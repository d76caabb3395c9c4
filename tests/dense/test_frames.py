"""Maps of numbers in inputs: their places, and what becomes of numbers that point somewhere."""

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Resized, Warp, to_input
from hrtoolkit.records import ValueMap
from hrtoolkit.runtime.geometry import crop_matrix
from hrtoolkit.schemes import ValueScheme, resolve_scheme

NORMALS = resolve_scheme("normals", ValueScheme)
Y_UP = ValueScheme(("z", "y", "x"), values="unit_vector", directions=(("y", "up"), ("x", "right")))
DEPTH = resolve_scheme("depth", ValueScheme)


def bowl(height, width):
    """Depth [H, W] and normals [3, H, W] (right, down, to the viewer) of a smooth surface without symmetry."""
    y, x = np.mgrid[:height, :width] / 80.0
    depth = 3 + np.sin(2 * x + 0.4) * np.cos(1.5 * y) + 0.3 * x
    slope = np.stack([2 * np.cos(2 * x + 0.4) * np.cos(1.5 * y) + 0.3, -1.5 * np.sin(2 * x + 0.4) * np.sin(1.5 * y)])
    normals = np.concatenate([slope, np.ones((1, height, width))])  # to the viewer depth falls
    return depth.astype(np.float32)[None], (normals / np.linalg.norm(normals, axis=0)).astype(np.float32)


def mirrored(values):
    flipped = values[..., ::-1].copy()
    flipped[0] *= -1
    return flipped


def test_a_mirrored_tile_has_the_numbers_of_the_mirrored_image_to_the_last_bit():
    depth, normals = bowl(20, 30)
    frames = [Resized((20, 30), (18, 50), mirror, (40, 60), (6, 4, 44, 16), (16, 44)) for mirror in (False, True)]
    plain, flipped = (to_input(ValueMap(normals), frame, NORMALS).values for frame in frames)
    np.testing.assert_array_equal(flipped[:, :16, :44], mirrored(plain[:, :16, :44]))
    assert plain.dtype == np.float32 and np.isnan(plain[:, 16:]).all() and np.isnan(flipped[..., 44:]).all()
    plain, flipped = (to_input(ValueMap(depth), frame, DEPTH).values for frame in frames)
    np.testing.assert_array_equal(flipped[:, :16, :44], plain[:, :16, 43::-1])
    for row in range(16):
        for column in range(44):
            assert plain[0, row, column] == depth[0, (4 + row) // 2, (6 + column) // 2]


def test_a_mirrored_warp_has_the_numbers_of_the_mirrored_image_to_the_last_bit():
    _, normals = bowl(32, 48)
    plain = Warp((32, 48), (32, 48), False, np.array([[1.0, 0, 0], [0, 1, 0]]))
    flipped = Warp((32, 48), (32, 48), True, np.array([[-1.0, 0, 47], [0, 1, 0]]))
    np.testing.assert_array_equal(to_input(ValueMap(normals), plain, NORMALS).values, normals)
    np.testing.assert_array_equal(to_input(ValueMap(normals), flipped, NORMALS).values, mirrored(normals))


@pytest.mark.parametrize("angle", [0.0, 90.0, 30.0, -75.0])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("unbiased", [False, True])
def test_normals_of_a_turned_surface_are_those_of_its_height_field(angle, mirror, unbiased):
    """The oracle: normals of the depth as it lies in the input, by differences of neighbours."""
    height, width, side = 120, 160, 96
    _, normals = bowl(height, width)
    matrix = crop_matrix(np.array([80.0, 60]), np.array([48.0, 48]), (side, side), angle, unbiased=unbiased)
    if mirror:
        matrix = np.array([[-1, 0, side - 1], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]])
    frame = Warp((height, width), (side, side), mirror, matrix)
    seen = to_input(ValueMap(normals), frame, NORMALS).values
    np.testing.assert_allclose(np.linalg.norm(seen, axis=0), 1, atol=1e-6)
    # Depth at the pixels of the input, interpolated by its formula, in which lengths of the image count.
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    rows, columns = np.mgrid[:side, :side]
    x, y = np.tensordot(inverse[:2], np.stack([columns, rows, np.ones_like(rows)]), 1) / 80.0
    surface = 3 + np.sin(2 * x + 0.4) * np.cos(1.5 * y) + 0.3 * x
    step = np.linalg.norm(inverse[:2, 0]) / 80  # of a pixel of the input
    slope = np.stack([np.gradient(surface, axis=1), np.gradient(surface, axis=0)]) / step
    wanted = np.concatenate([slope, np.ones((1, side, side))])
    wanted /= np.linalg.norm(wanted, axis=0)
    inner = np.s_[:, 2:-2, 2:-2]
    # The nearest pixel of the image is up to half of one away: the normal turns by less than 3 degrees in between.
    assert (seen[inner] * wanted[inner]).sum(axis=0).min() > np.cos(np.radians(3))


@pytest.mark.parametrize("angle", [0.0, 40.0])
def test_other_axes_and_orders_give_the_same_normals(angle):
    _, normals = bowl(40, 40)
    matrix = crop_matrix(np.array([20.0, 20]), np.array([30.0, 30]), (32, 32), angle)
    frame = Warp((40, 40), (32, 32), True, np.array([[-1, 0, 31], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]]))
    down = to_input(ValueMap(normals), frame, NORMALS).values
    up = to_input(ValueMap(normals[::-1] * np.float32([[[1]], [[-1]], [[1]]])), frame, Y_UP).values
    np.testing.assert_allclose(up[::-1] * np.float32([[[1]], [[-1]], [[1]]]), down, atol=1e-6)


def test_what_points_along_one_axis_alone_is_mirrored_but_not_turned():
    flow = ValueScheme(("flow",), directions=(("flow", "left"),))
    values = np.full((1, 8, 8), 2, np.float32)
    mirror = Warp((8, 8), (8, 8), True, np.array([[-1.0, 0, 7], [0, 1, 0]]))
    assert (to_input(ValueMap(values), mirror, flow).values == -2).all()
    turned = Warp((8, 8), (8, 8), False, np.array([[0.0, 1, 0], [-1, 0, 7]]))
    with pytest.raises(OptionError, match=r"'flow' points along one axis .* set the augmentation's rotation to 0"):
        to_input(ValueMap(values), turned, flow)


def test_partners_change_places_and_a_larger_picture_keeps_its_depth():
    pair = ValueScheme(("left", "right"), mirrored=(("left", "right"),))
    values = np.stack([np.zeros((4, 6)), np.ones((4, 6))]).astype(np.float32)
    frame = Warp((4, 6), (8, 12), True, np.array([[-2.0, 0, 10], [0, 2, 0]]))
    seen = to_input(ValueMap(values), frame, pair).values
    known = np.isfinite(seen)
    assert known.any() and (seen[0][known[0]] == 1).all() and (seen[1][known[1]] == 0).all()
    seen = to_input(ValueMap(values[1:]), frame, DEPTH).values
    assert (seen[np.isfinite(seen)] == 1).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(values="vector"), "values is 'vector', expected 'any', 'positive', 'unit_vector'"),
        (dict(directions=[["a", "right"], ["c", "up"]]), r"directions names \['c'\]"),
        (dict(directions=[["a", "forwards"]]), "directions are right, left, down, up, got forwards"),
        (dict(directions=[["a", "up"], ["b", "down"]]), "one name along x and one along y at most"),
        (dict(directions="x"), "directions holds pairs of a name and a direction"),
    ],
)
def test_a_scheme_that_contradicts_itself_is_refused(fields, message):
    with pytest.raises(OptionError, match=message):
        resolve_scheme(dict(names=["a", "b"], **fields), ValueScheme)
