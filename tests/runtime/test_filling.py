"""Joints that are looked for on all of the map: the same as searching every pixel of it."""

import cv2
import numpy as np
import pytest

from hrtoolkit.runtime.enlarged import Enlarged
from hrtoolkit.runtime.filling import find_steps, search_missing


def make_maps(rng, count, hw, deviation, blur):
    maps = rng.normal(0, 1, (count, *hw)).astype(np.float32)
    maps = np.stack([cv2.GaussianBlur(one, (0, 0), blur) for one in maps])
    return maps * (deviation / maps.std())


def search_everywhere(heatmaps, tags, joints, wanted, factor, size_hw):
    """The highest value that there is, and the heatmap at its places."""
    length = wanted.shape[1]
    height, width = (factor * side for side in heatmaps.shape[1:])
    enlarge = [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in (*heatmaps, *tags)]
    best = []
    for joint, own in zip(joints, wanted, strict=True):
        apart = np.stack(enlarge[len(heatmaps) + joint * length :][:length]) - own[:, None, None]
        total = (enlarge[joint] - np.rint(np.sqrt((apart**2).sum(axis=0))))[: size_hw[0], : size_hw[1]]
        y, x = np.unravel_index(total.argmax(), total.shape)
        best.append((x, y, enlarge[joint][y, x]))
    return np.array([one[:2] for one in best]), np.array([one[2] for one in best])


@pytest.mark.parametrize(
    ("factor", "length", "cut"), [(2, 2, None), (2, 1, None), (4, 2, None), (1, 2, None), (2, 2, (51, 73))]
)
def test_the_search_finds_what_lies_highest(factor, length, cut):
    rng = np.random.default_rng(factor)
    heatmaps, tags = make_maps(rng, 3, (45, 62), 0.3, 2), make_maps(rng, 3 * length, (45, 62), 2, 5)
    joints = rng.integers(0, 3, 60)
    wanted = rng.normal(0, 2, (60, length)).astype(np.float32)
    size_hw = (factor * 45, factor * 62) if cut is None else cut
    enlarged = (Enlarged(maps, factor, size_hw) for maps in (heatmaps, tags))
    places, heights = search_missing(*enlarged, joints, wanted)
    true_places, true_heights = search_everywhere(heatmaps, tags, joints, wanted, factor, size_hw)
    np.testing.assert_allclose(heights, true_heights, atol=1e-5)
    assert (np.abs(places - true_places).max(axis=1) <= 1).mean() > 0.95  # two places can be as high


def test_of_pixels_that_repeat_the_edge_of_a_map_the_innermost_is_found():
    maps = np.zeros((1, 9, 7), np.float32)
    maps[0, 8, 6] = 0.7
    flat = Enlarged(np.zeros((1, 9, 7), np.float32), 4, (36, 28))
    places, heights = search_missing(Enlarged(maps, 4, (36, 28)), flat, np.zeros(1, int), np.zeros((1, 1), np.float32))
    assert places.tolist() == [[26, 34]] and heights == pytest.approx(0.7)


def test_maps_are_enlarged_as_torch_does():
    torch = pytest.importorskip("torch")
    maps = np.random.default_rng(0).normal(0, 1, (2, 9, 11)).astype(np.float32)
    for factor in (1, 2, 4):
        enlarged = torch.nn.functional.interpolate(
            torch.from_numpy(maps)[None], scale_factor=factor, mode="bilinear", align_corners=False
        )[0].numpy()
        y, x = np.mgrid[: 9 * factor, : 11 * factor]
        read = Enlarged(maps, factor, enlarged.shape[1:]).at(np.ones_like(x), x, y)
        np.testing.assert_allclose(read, enlarged[1], atol=1e-6)


def test_a_step_goes_to_the_higher_neighbour_and_else_back():
    flat = Enlarged(np.full((1, 8, 9), 0.5, np.float32), 1, (8, 9))
    places = np.array([[3, 4], [0, 7]])
    assert (find_steps(flat, np.zeros(2, int), places) == -1).all()
    y, x = np.mgrid[:8, :9]
    slope = Enlarged((x - y)[None].astype(np.float32), 1, (8, 9))
    assert find_steps(slope, np.zeros(2, int), places).tolist() == [[1, -1], [1, -1]]
