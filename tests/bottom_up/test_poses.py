import math

import pytest
import torch

from hrtoolkit.tasks.bottom_up.poses import (
    enlarge,
    find_near,
    keep_as_official,
    keep_best,
    move_onto_peaks,
    refine,
    sample_heights,
)


def gaussian(size_hw, middle, height, spread):
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size_hw), indexing="ij")
    return height * torch.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / spread)


def test_enlarged_heatmaps_are_the_official_ones():
    larger = enlarge(torch.tensor([[[[0.0, 1], [2, 3]]]]), 4, (8, 8))[0, 0]
    assert larger[0].tolist() == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert larger[1].tolist() == [0.5, 0.75, 1, 1.25, 1.5, 1.5, 1.5, 1.5]
    assert all(row.tolist() == [2, 2.25, 2.5, 2.75, 3, 3, 3, 3] for row in larger[4:])


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_heights_are_those_of_enlarged_heatmaps(stride):
    torch.manual_seed(0)
    heatmaps = torch.randn(2, 3, 5, 6)
    height, width = 5 * stride - 1, 6 * stride - 3  # the last cells stand for pixels that are not there too
    points = torch.rand(2, 7, 3, 2) * torch.tensor([width + 12.0, height + 12]) - 6
    points[0, 0] = torch.tensor([[8.0, 4], [0, 0], [width - 1, height - 1]])
    heights = sample_heights(heatmaps, points, stride, torch.tensor([[height, width]] * 2))
    larger = enlarge(heatmaps, stride, (5 * stride, 6 * stride))
    x = points[..., 0].floor().clamp(0, width - 1).long()
    y = points[..., 1].floor().clamp(0, height - 1).long()
    image, joint = torch.arange(2)[:, None, None], torch.arange(3)
    assert torch.allclose(heights, larger[image, joint, y, x], atol=1e-5)


def test_pixels_are_rounded_down_and_stay_on_the_map():
    heatmaps = (5 * torch.arange(4.0)[:, None] + torch.arange(5.0))[None, None]
    points = torch.tensor([[[[2.9, 1.2]], [[-3, 9]], [[4.99, 3.99]]]])
    assert sample_heights(heatmaps, points, 1, torch.tensor([[4, 5]])).flatten().tolist() == pytest.approx([7, 15, 19])


def test_places_of_a_batch_that_are_padding_do_not_count():
    heatmaps = torch.zeros(1, 1, 4, 4)
    heatmaps[..., 2:] = 9
    assert sample_heights(heatmaps, torch.tensor([[[[7.0, 3.0]]]]), 4, torch.tensor([[16, 8]])).item() == 0


B = torch.tensor([[0.0, 0], [40, 0], [40, 30], [0, 30]])


def suppress(poses, scores):
    """What both ways keep, in the order of the poses."""
    near = find_near(torch.stack(poses)[None], 0.1, 2)
    scores = torch.tensor([scores])
    return near[0], [keep(near, scores)[0].nonzero()[:, 0].tolist() for keep in (keep_as_official, keep_best)]


@pytest.mark.parametrize(
    ("scores", "kept"), [([0.5, 0.9, 0.7, 0.95, 0.3], [1, 3, 4]), ([0.9, 0.5, 0.7, 0.95, 0.3], [0, 2, 3, 4])]
)
def test_suppression_keeps_what_the_official_one_does(scores, kept):
    near, results = suppress([B, B + 3, B + 6, 3 * B + 1, B + 100], scores)
    assert ["".join(str(int(v)) for v in row) for row in near] == ["11000", "11100", "01100", "00010", "00001"]
    assert results == [kept, kept]


@pytest.mark.parametrize(
    ("scores", "official", "best"),
    [
        ([0.9, 0.8, 0.7], [0], [0, 2]),  # the last one is lost to a pose that is out itself
        ([0.7, 0.8, 0.9], [1, 2], [0, 2]),  # near ones are both kept
        ([0.7, 0.9, 0.8], [1], [1]),
        ([0.9, 0.7, 0.8], [0, 2], [0, 2]),
    ],
)
def test_of_a_chain_the_best_stay_and_not_what_the_official_order_gives(scores, official, best):
    assert suppress([B, B + 3.5, B + 7], scores)[1] == [official, best]


def test_poses_whose_joints_coincide_and_empty_places():
    point = torch.zeros(4, 2)
    _, results = suppress([B, point + 200, point + 200, point], [0.5, 0.4, 0.3, 0.0])
    assert results == [[0, 1, 2], [0, 1, 2]]


def test_suppression_is_greedy_with_many_poses():
    torch.manual_seed(0)
    near, scores = torch.rand(3, 40, 40) < 0.1, torch.rand(3, 40)
    scores[:, ::7] = 0
    scores[:, 5] = scores[:, 9]
    kept = keep_best(near, scores)
    for image in range(3):
        expected, out = [], scores[image] <= 0
        for i in scores[image].argsort(descending=True, stable=True).tolist():
            if not out[i]:
                expected.append(i)
                out = out | near[image, i] | near[image, :, i]
        assert kept[image].nonzero()[:, 0].tolist() == sorted(expected)


def test_matched_joints_are_the_official_ones():
    size = (24, 32)
    heatmaps = torch.stack(
        [
            gaussian(size, (8.3, 7.6), 0.9, 8).maximum(gaussian(size, (22.4, 12.7), 0.7, 8)),
            gaussian(size, (10.2, 15.1), 0.8, 8).maximum(gaussian(size, (20.6, 5.3), 0.04, 8)),
        ]
    )[None]
    points = torch.tensor([[[[6.0, 6], [13, 14]], [[25, 15], [21, 4]]]])
    moved = move_onto_peaks(points, heatmaps, 5)
    assert moved.tolist() == [[[[8, 8], [10, 15]], [[22, 13], [21, 5]]]]
    assert move_onto_peaks(points, heatmaps, 5, 3.0).tolist() == [[[[8, 8], [13, 14]], [[25, 15], [21, 5]]]]
    expected = torch.tensor([[[[8.3, 7.6], [10.2, 15.1]], [[22.4, 12.7], [20.6, 5.3]]]])
    assert torch.allclose(refine(moved, heatmaps, 4), expected, atol=1e-3)


def test_joints_stay_where_there_is_no_peak_or_no_gaussian():
    points = torch.tensor([[[[6.2, 6.0]]]])
    for heatmaps in (torch.zeros(1, 1, 24, 32), torch.full((1, 1, 24, 32), -1.0)):
        assert torch.equal(move_onto_peaks(points, heatmaps), points)
        assert torch.equal(refine(points, heatmaps, 4), points)
    slope = torch.arange(1.0, 33).expand(1, 1, 24, 32)
    assert torch.equal(refine(points, slope.contiguous(), 4)[..., 1], points[..., 1])
    edge = gaussian((24, 32), (1.3, 12.2), 1.0, 8)[None, None]  # nothing is known beyond the border
    refined = refine(torch.tensor([[[[1.0, 12.0]]]]), edge, 4)
    assert refined[0, 0, 0, 0] == 1 and math.isclose(refined[0, 0, 0, 1], 12.2, abs_tol=1e-3)
