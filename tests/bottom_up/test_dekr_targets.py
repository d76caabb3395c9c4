import pytest
import torch

from hrtoolkit.tasks.bottom_up.dekr_targets import (
    People,
    find_offsets,
    gather_people,
    heatmap_loss,
    offset_loss,
    paint_peaks,
    weigh_cells,
)


def f(shape, a, b):
    return (a * torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + b).sin().view(shape)


def test_heatmaps_are_the_official_ones():
    joints = torch.zeros(1, 2, 17, 2)
    there = torch.zeros(1, 2, 17, dtype=torch.bool)
    joints[0, 0, :2] = torch.tensor([[5.3, 4.6], [15.7, 0.2]])
    joints[0, 1, 0] = torch.tensor([7.1, 4.6])
    there[0, 0, :2] = there[0, 1, 0] = True
    painted = paint_peaks(joints, there, 2.0, (16, 16))[0]
    assert painted[0].sum().item() == pytest.approx(33.641270304139766, rel=1e-6)
    assert painted[0].max() == painted[0, 5, 7] and painted[0, 5, 7].item() == pytest.approx(0.97897416)
    assert painted[0, 5, 5:7].tolist() == pytest.approx([0.96923321, 0.92196316])
    assert painted[0, 0, 0].item() == pytest.approx(0.00212019, abs=1e-8)
    assert (painted[0] > 0).sum() == 208 and (painted[0, :13] > 0).all()
    assert painted[1].sum().item() == pytest.approx(7.374141183288316, rel=1e-6)
    assert painted[1, 0, 15].item() == pytest.approx(0.93589687)
    assert (painted[1] > 0).sum() == 72 and (painted[1, :9, 8:] > 0).all()
    assert not painted[2:].any()
    centers = torch.tensor([[[[8.4, 7.7]], [[3.2, 12.9]]]])
    (center,) = paint_peaks(centers, torch.ones(1, 2, 1, dtype=torch.bool), 4.0, (16, 16))[0]
    assert center.sum().item() == pytest.approx(120.24616420455277, rel=1e-6)
    assert center.max() == center[13, 3] and center[13, 3].item() == pytest.approx(0.99843872)
    assert center[8, 8].item() == pytest.approx(0.99221796) and (center > 0).all()


@pytest.mark.parametrize(
    ("cell", "columns", "rows"), [((10.3, 12.6), (3, 18), (5, 20)), ((10.0, 12.0), (3, 17), (5, 19))]
)
def test_windows_are_the_official_ones(cell, columns, rows):
    painted = paint_peaks(torch.tensor([[[cell]]]), torch.ones(1, 1, 1, dtype=torch.bool), 2.0, (32, 32))[0, 0]
    y, x = painted.nonzero().T
    assert (x.min(), x.max(), y.min(), y.max()) == (*columns, *rows)


def test_nothing_is_painted_of_what_lies_beside_the_map():
    cells = torch.tensor([[[[-0.5, 3.0]], [[3.0, 16.0]], [[15.9, 15.9]]]])
    painted = paint_peaks(cells, torch.ones(1, 3, 1, dtype=torch.bool), 2.0, (16, 16))[0, 0]
    assert painted.max() == painted[15, 15] and not painted[:8, :8].any()


def make_people(joints, labelled, centers):
    joints, centers = torch.tensor([joints]), torch.tensor([centers])
    found = torch.ones(centers.shape[:2], dtype=torch.bool)
    return People(joints, torch.tensor([labelled]) > 0, centers, found, torch.ones(centers.shape[:2]))


def draw_offsets(people, areas, size=16):
    """As the official code has them: offsets and weights [2K, H, W]."""
    places, offsets, weights = find_offsets(people, torch.tensor([areas]).sqrt(), (size, size))
    drawn, drawn_weights = torch.zeros(2, len(people.joints[0, 0]) * 2, size * size)
    for person in range(len(places[0])):
        for joint in range(len(weights[0, person])):
            learnt = weights[0, person, joint] > 0
            cells = places[0, person, learnt]
            drawn[2 * joint : 2 * joint + 2, cells] = offsets[0, person, joint, learnt].T
            drawn_weights[2 * joint : 2 * joint + 2, cells] = weights[0, person, joint, learnt]
    return drawn.view(-1, size, size), drawn_weights.view(-1, size, size)


JOINTS = [[[5.3, 4.6], [9.5, 9.5]], [[11.2, 3.1], [8.0, 8]], [[2, 15.5], [6, 6]]]
LABELLED = [[1, 1], [1, 0], [1, 1]]
CENTERS = [[7.9, 6.2], [10.1, 8], [6, 5]]


def test_offsets_are_the_official_ones():
    offsets, weights = draw_offsets(make_people(JOINTS, LABELLED, CENTERS), [400.0, 100, 900])
    assert (weights > 0).sum((1, 2)).tolist() == [113, 113, 79, 79]
    counts = [{round(v, 4): (one == v).sum().item() for v in one.unique().tolist() if v} for one in weights[::2]]
    assert counts == [{0.0333: 15, 0.05: 34, 0.1: 64}, {0.0333: 15, 0.05: 64}]
    for (x, y), values, shares in (
        ((3, 2), [-2.3, -2.6, -6.5, -7.5], [0.05, 0.05]),
        ((6, 6), [-5.2, 2.9, -3.5, -3.5], [0.1, 0.05]),
        ((11, 9), [-0.2, 5.9, 0, 0], [0.1, 0]),
        ((9, 2), [3.7, -2.6, -0.5, -7.5], [0.05, 0.05]),
    ):
        assert offsets[:, y, x].tolist() == pytest.approx(values, abs=1e-5)
        assert weights[::2, y, x].tolist() == pytest.approx(shares)
    assert offsets.sum((1, 2)).tolist() == pytest.approx([-85, 92.7, -224, -303], abs=1e-3)


def test_of_equal_sizes_the_later_person_has_a_cell():
    for order, value in (([0, 1, 2], [-3.2, 2.9]), ([1, 0, 2], [2.7, 1.4])):
        people = make_people(*([one[i] for i in order] for one in (JOINTS, LABELLED, CENTERS)))
        offsets, _ = draw_offsets(people, [100.0, 100, 900])
        assert offsets[:2, 6, 8].tolist() == pytest.approx(value, abs=1e-5)


def test_the_smaller_person_keeps_its_cells_where_the_official_code_loses_them():
    # An offset of exactly (0, 0) counts as empty there.
    people = make_people([[[6.0, 6]], [[3.5, 3.5]]], [[1], [1]], [[6.0, 6], [6.5, 6.5]])
    offsets, _ = draw_offsets(people, [50.0, 500])
    assert offsets[:, 6, 6].tolist() == [0, 0] and offsets[:, 6, 5].tolist() == [-1, 0]
    # There all joints share one map of sizes.
    joints = [[[6.5, 6.5], [0, 0]], [[0, 0], [3.2, 3.2]], [[9.5, 9.5], [0, 0]]]
    people = make_people(joints, [[1, 0], [0, 1], [1, 0]], [[7.0, 7]] * 3)
    offsets, _ = draw_offsets(people, [100.0, 900, 400])
    assert offsets[:2, 7, 7].tolist() == [0.5, 0.5]


def make_target(points, visible, area, mirrored=False):
    points = torch.tensor(points)
    return {
        "points": points,
        "visible": torch.tensor(visible, dtype=torch.float32),
        "areas": torch.tensor(area),
        "mirrored": torch.tensor(mirrored),
    }


def test_centres_and_sizes_of_people():
    targets = [
        make_target([[[300.0, 200], [280, 240], [330, 245], [310, 400]]], [[1, 2, 2, 1]], [9000.0]),
        make_target(
            [[[50.0, 60], [40, 80], [0, 0], [0, 0]], [[0.0, 0]] * 4, [[100.0, 50], [102, 60], [0, 0], [0, 0]]],
            [[1, 1, 0, 0], [0, 0, 0, 0], [1, 2, 0, 0]],
            [900.0, 5000, 2000],
        ),
    ]
    people = gather_people(targets, 4, 1024.0)
    assert people.joints.shape == (2, 3, 4, 2)
    assert (4 * people.centers[0, 0]).tolist() == [305, 271.25] and (4 * people.centers[1, 2]).tolist() == [101, 55]
    assert people.found.tolist() == [[True, False, False], [False, False, True]]
    squares = (16 * people.diagonals.square()).flatten().tolist()
    assert squares == pytest.approx([42500, 0, 0, 500, 0, 104], rel=1e-5)
    assert gather_people(targets, 4, 0.0).found.tolist() == [[True, False, False], [True, False, True]]


def test_the_official_flip_moves_mirrored_joints_alone():
    points = [[[8.0, 4]]]
    targets = [make_target(points, [[1]], [1.0], mirrored) for mirrored in (False, True)]
    people = gather_people(targets, 4, 0.0, flip_shift=3)
    assert people.joints.flatten().tolist() == [2, 1, 1.25, 1]


def test_losses_are_the_official_ones():
    shape = (2, 3, 4, 5)
    weights = 0.1 + 0.9 * (f(shape, 1.1, 0.3) > 0).double()
    assert weights.sum().item() == pytest.approx(66.9)
    loss = heatmap_loss(f(shape, 0.3, 0), f(shape, 0.7, 1).clamp(min=0), weights)
    assert loss.item() == pytest.approx(0.40777219845528, rel=1e-12)
    shape = (2, 4, 4, 5)
    po, go, wo = 2 * f(shape, 0.4, 0.1), 2 * f(shape, 0.9, 0.2), 0.1 * f(shape, 0.6, 0.5).clamp(min=0)
    assert offset_loss(po, go, wo).item() == pytest.approx(0.09254428935649513, rel=1e-12)
    assert offset_loss(po, go, 0 * wo) == 0
    values = torch.tensor([0, 0.05, 0.1, 1 / 9, 0.2, -2], dtype=torch.float64)
    told = [offset_loss(value, torch.zeros(()), torch.ones(())).item() for value in values]
    assert told == pytest.approx([0, 0.01125, 0.045, 0.0555555556, 0.1444444444, 1.9444444444])


def test_cells_near_no_joint_count_a_tenth_and_masked_ones_nothing():
    painted, use = torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2)
    painted[..., 0], use[:, 1] = 0.3, 0
    assert torch.allclose(weigh_cells(painted, use), torch.tensor([[1.0, 0.1], [0, 0]]))
