"""Centres of people: the numbers of the official code, and what it has no answer for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrtoolkit.tasks.bottom_up.peaks import clear_beyond, find_centers, keep_peaks, pool_candidates, smooth


def center_map():
    """12 x 14 cells: four bumps, of which one is too near to another, and two equal cells side by side."""
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(14.0), indexing="ij")
    bumps = [(3, 4, 0.9, 1.2), (8, 10, 0.5, 1.0), (3, 6, 0.6, 0.8), (11, 0, 0.02, 1.0)]
    maps = [a * torch.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * s * s)) for v, u, a, s in bumps]
    heat = torch.stack(maps).double().amax(0)
    heat[6, 1] = heat[6, 2] = 0.3
    return heat.clamp(1e-4, 1 - 1e-4)[None]


def find(maps, **options):
    """Cells (y, x) and values of one map, and how many places were left."""
    cells, values = find_centers(maps, torch.tensor([maps.shape[-2:]]), 0.01, **options)
    found = [(*cell[::-1], value) for cell, value in zip(cells[0].tolist(), values[0].tolist(), strict=True) if value]
    assert not cells[0, len(found) :].any() and not values[0, len(found) :].any()
    return found


def test_smoothed_maps_are_the_official_ones():
    smoothed = smooth(center_map(), 3)[0]
    known = {
        (3, 4): 0.7412000132913985,
        (3, 6): 0.47835835474004806,
        (6, 1): 0.18710888690251914,
        (6, 2): 0.1975458453868847,
        (0, 0): 0.000777438403673704,
        (11, 0): 0.012867711956218567,
    }
    for cell, value in known.items():
        assert smoothed[cell].item() == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize(
    ("kernel", "known"),
    [
        (3, [(3, 4, 0.7412000133), (8, 10, 0.3860455668), (6, 2, 0.1975458454), (11, 0, 0.012867712)]),
        (11, [(3, 4, 0.4932445235), (8, 10, 0.2740107366), (6, 2, 0.190119783), (11, 0, 0.0131721664)]),
    ],
)
def test_centers_are_the_official_ones(kernel, known):
    found = find(smooth(center_map(), kernel))
    assert [cell[:2] for cell in found] == [cell[:2] for cell in known]
    assert [cell[2] for cell in found] == pytest.approx([cell[2] for cell in known], abs=1e-7)


def test_equal_neighbours_are_both_found_and_an_empty_map_has_none():
    assert {cell[:2] for cell in find(center_map())} >= {(6, 1), (6, 2)}
    assert find(torch.full((1, 12, 14), 0.001)) == []


@pytest.mark.parametrize(
    ("size_hw", "reach"),
    [((200, 200), 1), ((200, 202), 2), ((300, 300), 2), ((300, 302), 3), ((100, 301), 2)],
)
def test_the_neighbourhood_grows_with_the_map(size_hw, reach):
    maps = torch.zeros(1, *size_hw)
    maps[0, 50, 50] = 0.9
    for distance in (1, 2, 3, 4):  # on separate rows, far enough away
        maps[0, 20 * distance, 20] = 0.9
        maps[0, 20 * distance, 20 + distance] = 0.5
    seconds = [x - 20 for _, x, value in find(maps) if value < 0.8]
    assert sorted(seconds) == list(range(reach + 1, 5))


def test_nothing_is_found_in_the_padding_of_a_batch():
    alone, other = center_map()[:, :9, :9], torch.rand(1, 12, 14).double()
    batch = torch.cat([other, torch.ones_like(other)])[:, None]
    batch[1, :, :9, :9] = alone
    sizes_hw = torch.tensor([[12, 14], [9, 9]])
    smoothed = smooth(clear_beyond(batch, sizes_hw), 3)
    cells, values = find_centers(clear_beyond(smoothed, sizes_hw)[:, 0], sizes_hw, 0.01)
    known = find(smooth(alone, 3))
    assert [(y, x) for x, y in cells[1, : len(known)].tolist()] == [cell[:2] for cell in known]
    assert values[1, : len(known)].tolist() == pytest.approx([cell[2] for cell in known])
    assert not values[1, len(known) :].any()


def test_a_map_smaller_than_the_number_of_people():
    maps = torch.zeros(1, 2, 3)
    maps[0, 1, 2] = 0.5
    assert find(maps) == [(1, 2, 0.5)]
    assert len(find(center_map(), most=2)) == 2


def test_peaks_are_those_of_a_pooling_layer():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 12, 14).round(decimals=1)  # with equal neighbours, and below 0
    highest = F.max_pool2d(maps, 5, stride=1, padding=2)
    assert torch.equal(keep_peaks(maps), torch.where(maps == highest, maps, 0))
    assert torch.equal(keep_peaks(maps.transpose(2, 3)), keep_peaks(maps).transpose(2, 3))


def test_tags_of_pooled_candidates_are_those_of_the_enlarged_map():
    torch.manual_seed(0)
    heatmaps, tags = torch.rand(2, 3, 24, 32), torch.randn(2, 3, 2, 6, 8)
    found = pool_candidates(heatmaps, tags, 1, torch.tensor([[24, 32], [20, 31]]))
    inside = found["cells"][1][found["values"][1] > 0]
    assert len(inside) > 30 and inside[:, 0].max() < 31 and inside[:, 1].max() < 20
    full = F.interpolate(tags.flatten(0, 1), scale_factor=4, mode="bilinear", align_corners=False)
    full = full.unflatten(0, (2, 3))
    for i, k in np.ndindex(2, 3):
        x, y = found["cells"][i, k].T
        there = found["values"][i, k] > 0
        np.testing.assert_allclose(found["values"][i, k][there], heatmaps[i, k, y, x][there])
        np.testing.assert_allclose(found["candidate_tags"][i, k], full[i, k][:, y, x].T, atol=1e-5)
