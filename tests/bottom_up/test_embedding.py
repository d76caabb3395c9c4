"""What HigherHRNet learns, against numbers of the official code."""

import math

import pytest
import torch

from hrtoolkit.tasks.bottom_up.embedding import find_cells, heatmap_error, paint_heatmaps, pull_and_push, read_tags

TAGS = torch.sin(0.37 * torch.arange(60.0, dtype=torch.float64))
PEOPLE = [{3, 14, 27, 41, 55}, {8, 19, 30}, {0, 12, 24, 36}, {50}]


def wave(shape, a, b):
    return torch.sin(a * torch.arange(math.prod(shape), dtype=torch.float64) + b).view(shape)


def as_people(groups, most=None):
    """Tags [1, P, K] and what is there of people that are sets of flat indices."""
    there = torch.zeros(1, most or len(groups), 60, dtype=torch.bool)
    for person, members in enumerate(groups):
        there[0, person, list(members)] = True
    return there


@pytest.mark.parametrize(
    ("kind", "push"), [("exponential", 0.4524372914180735), ("max", 0.35678419075217094)], ids=["exponential", "max"]
)
def test_pull_and_push_are_the_official_ones(kind, push):
    there = as_people(PEOPLE, most=6)  # two rows of nobody
    pull, pushed = pull_and_push(TAGS.expand(1, 6, 60), there, kind)
    assert pull.item() == pytest.approx(0.37385447268017935, abs=1e-12)
    assert pushed.item() == pytest.approx(push, abs=1e-12)


def test_pull_and_push_reach_the_tags_through_the_means():
    tags = TAGS.clone().requires_grad_()
    sum(x.sum() for x in pull_and_push(tags.expand(1, 4, 60), as_people(PEOPLE))).backward()
    known = {3: 0.04459620699663254, 50: 0.16955831584078446, 1: 0.0}
    assert {i: tags.grad[i].item() for i in known} == pytest.approx(known, abs=1e-12)


def test_a_person_alone_is_not_pushed_and_nobody_is_nothing():
    there = torch.cat([as_people(PEOPLE[:1], 3), as_people([], 3), as_people(PEOPLE[:1], 3)])
    tags = torch.stack([TAGS, TAGS, TAGS / 2])[:, None].expand(3, 3, 60).clone().requires_grad_()
    pull, push = pull_and_push(tags, there)
    assert pull.tolist() == pytest.approx([0.5905039696645025, 0, 0.14762599241612562], abs=1e-12)
    assert push.tolist() == [0, 0, 0]
    (pull + push).sum().backward()
    assert torch.isfinite(tags.grad).all()


def test_all_losses_are_the_official_ones():
    """Two samples, three joints, two levels, a part of the first masked."""
    o0, o1 = wave((2, 6, 4, 5), 0.3, 0), wave((2, 3, 8, 10), 0.2, 0.5)
    h0, h1 = wave((2, 3, 4, 5), 0.7, 1).clamp(min=0), wave((2, 3, 8, 10), 0.5, 2).clamp(min=0)
    use0, use1 = torch.ones(2, 4, 5), torch.ones(2, 8, 10)
    use0[0, 1:3, 2:4] = 0
    use1[0, 2:6, 4:8] = 0
    people = [[{0: (1, 1), 1: (2, 3)}, {2: (3, 4)}], [{0: (0, 0), 1: (1, 2), 2: (3, 4)}]]  # joint: y, x
    cells, there = torch.zeros(2, 2, 3, 2, dtype=torch.long), torch.zeros(2, 2, 3, dtype=torch.bool)
    for i, persons in enumerate(people):
        for p, joints in enumerate(persons):
            for k, (y, x) in joints.items():
                cells[i, p, k], there[i, p, k] = torch.tensor([x, y]), True
    pull, push = pull_and_push(read_tags(o0[:, 3:], cells, there), there)
    error0, error1 = heatmap_error(o0[:, :3], h0, use0), heatmap_error(o1, h1, use1)
    assert error0.item() == pytest.approx((0.7118875520364413 + 0.7604466643404407) / 2, abs=1e-12)
    assert error1.item() == pytest.approx((0.6248947865161251 + 0.7355017743751083) / 2, abs=1e-12)
    assert (1e-3 * push).tolist() == pytest.approx([5.2805644960963515e-05, 0], abs=1e-15)
    assert (1e-3 * pull).tolist() == pytest.approx([2.5090365184884355e-05, 0.0002917340122330245], abs=1e-15)
    total = error0 + error1 + 1e-3 * (pull + push).mean()
    assert total.item() == pytest.approx(1.4165502036452473, abs=1e-12)


POINTS = torch.tensor([[[(3.7, 4.2), (-0.6, 7.9), (15.9, 0.4)], [(4.9, 6.0), (16.0, 5), (8.5, 12.5)]]])
LABELLED = torch.tensor([[[1.0, 1, 1], [1, 1, 0]]]) > 0


@pytest.mark.parametrize("flip", ["original", "aligned"])
def test_painted_heatmaps_are_the_official_ones(flip):
    cells = find_cells(POINTS, torch.zeros(1, dtype=torch.bool), 1, flip)
    there = LABELLED & (cells >= 0).all(-1) & (cells < 16).all(-1)
    maps = paint_heatmaps(cells, there, (16, 16), sigma=2.0)[0].double()
    # The official code takes the joint half a cell left of the map for inside.
    sums, counts = [34.528644315758356, 15.068814310638118, 9.0375315184574], [168, 120, 64]
    if flip == "aligned":
        sums[1] = counts[1] = 0
    assert maps.sum((1, 2)).tolist() == pytest.approx(sums, abs=2e-5)
    assert (maps > 0).sum((1, 2)).tolist() == counts
    known = [1, 0.8824969, 0.6065307, 0.8824969, 0.8824969, 0.7788008, 0.8824969, 1, 0.8824969]
    assert maps[0, 4:7, 3:6].flatten().tolist() == pytest.approx(known, abs=1e-6)
    assert maps[0, [11, 13, 15], 4].tolist() == pytest.approx([0.0439369, 0.0021875, 0], abs=1e-7)
    assert maps[2, 0, 15] == 1 and (flip == "aligned" or maps[1, 7, 0] == 1)
    flat = (torch.arange(3) * 256 + cells[..., 1] * 16 + cells[..., 0])[there].tolist()
    assert flat == ([67, 368, 527, 100] if flip == "original" else [67, 527, 100])


def test_a_mirrored_joint_is_painted_in_the_mirrored_cell():
    points = torch.rand(1, 1000, 1, 2, generator=torch.Generator().manual_seed(0)) * 63
    points[0, :64, 0, 0] = torch.arange(64.0)
    mirrored = points * torch.tensor([-1.0, 1]) + torch.tensor([63.0, 0])
    no, yes = torch.tensor([False]), torch.tensor([True])
    for stride in (2, 4):
        last = 64 // stride - 1
        cells = find_cells(points, no, stride, "aligned")
        aligned = find_cells(mirrored, yes, stride, "aligned")
        assert torch.equal(aligned[..., 1], cells[..., 1])
        assert (last - aligned[..., 0] == cells[..., 0]).float().mean() > 0.99  # but for rounding
        original = find_cells(mirrored, yes, stride, "original")
        off = (last - original[..., 0] - cells[..., 0])[0, :, 0]
        assert off[64:].float().mean() > 0.95 and set(off.tolist()) <= {0, 1}
