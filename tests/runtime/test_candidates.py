"""Candidates for joints: what pooling layers find on maps that are enlarged as a whole."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrtoolkit.runtime.candidates import find_candidates, find_peaks
from hrtoolkit.runtime.enlarged import Enlarged
from hrtoolkit.tasks.bottom_up.peaks import pool_candidates


@pytest.mark.parametrize(("factor", "threshold"), [(1, 0.3), (2, 0.3), (4, 0.3), (2, 0.0)])
def test_candidates_are_the_highest_peaks_of_the_enlarged_maps(factor, threshold):
    torch.manual_seed(factor)
    maps, tags = F.avg_pool2d(torch.randn(3, 40, 60), 3, stride=1, padding=1), torch.randn(3, 2, 20, 30)
    maps[2] = -1  # nobody
    size_hw = (37 * factor, 58 * factor - 1)  # the rest is a batch's padding
    pooled = pool_candidates(maps[None], tags[None], factor, torch.tensor([size_hw]))
    heatmaps = Enlarged(maps.numpy(), factor, size_hw)
    found = find_candidates(heatmaps, Enlarged(tags.flatten(0, 1).numpy(), 2 * factor, size_hw), threshold, 20)
    values = pooled["values"][0, :, :20].numpy()
    there = values > threshold
    assert there[:2].all() and not there[2].any() and not found.values[2].any()
    np.testing.assert_allclose(found.values[:2], values[:2], atol=1e-6)
    np.testing.assert_array_equal(found.cells[:2], pooled["cells"][0, :2, :20])
    np.testing.assert_allclose(found.tags[:2], pooled["candidate_tags"][0, :2, :20], atol=1e-5)
    assert found.tags.dtype == np.float32


def test_pixels_that_repeat_the_edge_of_a_coarse_map_are_one_candidate():
    maps = torch.zeros(1, 9, 7)
    maps[0, 2:4, 0], maps[0, 8, 3:5], maps[0, 0, 6] = torch.tensor([0.7, 0.6]), torch.tensor([0.5, 0.4]), 0.3
    size_hw = (36, 28)
    cells, values = find_peaks(Enlarged(maps.numpy(), 4, size_hw), 0.1, 5)
    assert cells[0].tolist() == [[1, 10], [14, 34], [26, 1], [0, 0], [0, 0]]
    pooled = pool_candidates(maps[None], torch.zeros(1, 1, 1, 9, 7), 4, torch.tensor([size_hw]))
    assert pooled["cells"][0, 0, :3].tolist() == cells[0, :3].tolist()
    assert pooled["values"][0, 0, :5].tolist() == pytest.approx(values[0].tolist())


def test_equal_neighbours_are_all_candidates_and_the_edge_is_one_too():
    maps = np.zeros((1, 6, 7), np.float32)
    maps[0, 2, 2:4], maps[0, 5, 6], maps[0, 0, 1] = 0.5, 0.7, 0.4  # the last is too near to the first two
    cells, values = find_peaks(Enlarged(maps, 1, (6, 7)), 0.1, 4)
    assert cells[0].tolist() == [[6, 5], [2, 2], [3, 2], [0, 0]] and values[0].tolist() == pytest.approx(
        [0.7, 0.5, 0.5, 0]
    )
