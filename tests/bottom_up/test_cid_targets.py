"""What CID is trained with, against the numbers of the official code, and what differs from it on purpose."""

import pickle
import random

import numpy as np
import pytest
import torch

from hrtoolkit.frames import to_input
from hrtoolkit.tasks.bottom_up import cid_targets
from hrtoolkit.tasks.bottom_up.cid_targets import (
    CenterTargets,
    find_first,
    gaussian_radii,
    move_cells,
    paint_targets,
)
from hrtoolkit.tasks.bottom_up.views import ShortSide
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.views import Crop


def box(height, width):
    return np.array([[[0, 0], [width, 0], [0, height], [width, height]]], float)


@pytest.mark.parametrize(
    ("height", "width", "radius"),
    [
        *((0, 0, 0), (1, 1, 0), (4, 9, 1), (10, 10, 2), (20, 40, 7), (40, 20, 7), (37, 61, 12), (128, 128, 34)),
        *((0, 50, 0), (1, 127, 0)),
    ],
)
def test_radii_are_the_official_ones(height, width, radius):
    assert gaussian_radii(box(height, width), (200, 200)).tolist() == [radius]


def person(points, corners):
    """Of the sheet: (x, y, visible) on the map, and a box by two corners or its four."""
    if len(corners) == 2:
        (x0, y0), (x1, y1) = corners
        corners = [(x0, y0), (x1, y0), (x0, y1), (x1, y1)]
    return points, corners


A = person([(5.7, 4.2, 2), (15.9, 6.5, 1), (0, 0, 0), (10.8, 8.1, 2)], [(2, 1), (18, 21)])
B = person([(7.3, 6.9, 2), (23.99, 20.2, 2), (24, 5, 2), (15.6, 13.5, 2)], [(-3, 2), (30, 33)])
D = person([(-0.4, 3, 2), (0, 0, 0), (3, -1.2, 2), (1, 1, 0)], [(-9, -9), (-3, -2)])


@pytest.fixture
def make_targets(monkeypatch):
    """Targets of people on a map, as tensors."""

    def make(people, side, mirrored=False, smallest=0.0, flip="aligned"):
        keypoints = len(people[0][0]) if people else 2
        points = np.array([[p[:2] for p in points] for points, _ in people], np.float32)
        points = points.reshape(len(people), keypoints, 2)
        visible = np.array([[p[2] for p in points] for points, _ in people], np.float32).reshape(points.shape[:2])
        corners = np.array([corners for _, corners in people], np.float32).reshape(-1, 4, 2)
        use = np.ones((4 * side, 4 * side), np.uint8)
        told = dict(points=points * 4, visible=visible, corners=corners * 4, use=use, mirrored=np.array(mirrored))
        monkeypatch.setattr(cid_targets, "people_targets", lambda record, frame: told)
        targets = pickle.loads(pickle.dumps(CenterTargets(4, smallest, flip)))(None, None)
        return {name: torch.from_numpy(value) for name, value in targets.items()}

    return make


def paint(targets, side=24):
    return paint_targets([targets], (side, side), jitter=False)


def test_heatmaps_of_everybody_are_the_official_ones(make_targets):
    maps = paint(make_targets([A, B, D], 24)).everybody[0].double()[:3]
    # Officially what lies up to a cell outside at the left counts as inside: one cell more, of D, where nothing is.
    sums = [35.728625501244096 - 1, 30.580778807081515, 0]
    assert maps.sum((1, 2)).tolist() == pytest.approx(sums, abs=1e-5)
    assert (maps > 0).sum((1, 2)).tolist() == [170 - 1, 151, 0]
    assert [one.nonzero().flip(-1).tolist() for one in maps == 1] == [[[5, 4], [7, 6]], [[15, 6], [23, 20]], []]
    row = [0.41111228, 0.8007374, 1, 0.8007374, 0.65309316, 0.58710927, 0.42653066]
    assert maps[0, 4, 3:10].tolist() == pytest.approx(row)
    assert maps[0, 5, 6].item() == pytest.approx(0.80814177)


def test_heatmaps_of_each_are_the_official_ones(make_targets):
    for one, sums, pixels in (
        (A, [14.073759387247264, 14.073759387247264, 0], [81, 81, 0]),
        (B, [29.35038545972202, 16.50701941983425, 0], [169, 70, 0]),
    ):
        painted = paint(make_targets([one], 24))
        assert painted.people[0, :3].double().sum((1, 2)).tolist() == pytest.approx(sums, abs=1e-5)
        assert (painted.people[0, :3] > 0).sum((1, 2)).tolist() == pixels
        # A keypoint outside of the map counts: its heatmap is empty.
        assert painted.labelled[0].tolist() == [p[2] > 0 for p in one[0]]


def test_a_turned_box(make_targets):
    corners = [(5.839746, 2.669873), (23.160254, 12.669873), (0.839746, 11.330127), (18.160254, 21.330127)]
    maps = paint(make_targets([person([(12, 12, 2)], corners)], 24)).everybody[0, 0]
    assert maps.double().sum().item() == pytest.approx(8.518151936121285, abs=1e-5) and (maps > 0).sum() == 49


CENTERS = [(10.8, 8.1, 2), (15.6, 13.5, 2), (0, 0, 0), (23.5, 0.2, 2), (10.2, 8.9, 2), (-0.5, 7.7, 2)]
AREAS = [900, 400, 5000, 2500, 1600, 3000]


def people_with_centers():
    """One keypoint each, so that it is the centre, and squares of these areas in input pixels."""
    sides = np.sqrt(AREAS) / 4
    return [person([c], [(0, 0), (s, s)]) for c, s in zip(CENTERS, sides, strict=True)]


def test_people_are_learnt_from_the_smallest_on(make_targets):
    targets = make_targets(people_with_centers(), 24)
    painted = paint(targets)
    # The fifth lies where the first does; officially the sixth, half a cell outside, has a place at (0, 7).
    assert targets["centers"].tolist() == [[15, 13], [10, 8], [10, 8], [23, 0]]
    assert painted.cells[0][painted.learnt].tolist() == [[15, 13], [10, 8], [23, 0]]
    assert make_targets(people_with_centers(), 24, smallest=1000.0)["centers"].tolist() == [[10, 8], [23, 0]]


@pytest.mark.parametrize(
    ("seed", "known"),
    [
        (0, [[13, 15], [8, 9], [8, 11], [0, 23], [7, 0]]),
        (1, [[14, 14], [8, 9], [0, 23], [7, 1]]),
        (2, [[12, 14], [8, 9], [9, 9], [0, 23], [8, 0]]),
        (3, [[14, 14], [7, 11], [9, 10], [1, 23], [6, 1]]),
    ],
)
def test_centers_are_moved_as_officially(seed, known):
    random.seed(seed)
    cells = torch.tensor([[15, 13], [10, 8], [10, 8], [23, 0], [0, 7]])
    steps = torch.tensor([[random.choice((-1, 0, 1)), random.choice((-1, 0, 1))] for _ in cells])
    moved = move_cells(cells, steps, (24, 24))
    assert moved[find_first(moved)].flip(-1).tolist() == known


def test_moving_follows_from_the_seed_of_the_step(make_targets):
    targets = make_targets(people_with_centers(), 24)
    cells = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        cells.append(paint_targets([targets] * 3, (24, 24)).cells)
    assert all(torch.equal(a, b) for a, b in zip(cells[0], cells[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(cells[0], cells[2], strict=True))
    assert max((a - targets["centers"]).abs().max() for a in cells[2]) == 1


def test_flipping_is_aligned_or_as_officially(make_targets):
    wide = person([(10.25, 5, 2), (100.5, 6, 2), (60, 7, 2)], [(8, 4), (90, 4), (8, 70), (90, 70)])
    points, corners = wide
    # The view's matrix mirrors in input pixels; partners have changed their places before.
    mirrored = [((511 - 4 * x) / 4, y, v) for x, y, v in (points[1], points[0], points[2])]
    turned = [((511 - 4 * x) / 4, y) for x, y in corners]
    for flip, known in (
        ("aligned", [[27, 6], [117, 5], [67, 7]]),
        ("original", [[26, 6], [116, 5], [67, 7]]),
    ):
        targets = make_targets([(mirrored, turned)], 128, mirrored=True, flip=flip)
        assert targets["cells"][0, :3].tolist() == known
        plain = make_targets([wide], 128)
        assert targets["radii"].tolist() == plain["radii"].tolist()


def test_of_many_people_some_are_drawn_by_lot(make_targets):
    many = [person([(x, y, 2)], [(x, y), (x + 9, y + 9)]) for x in range(0, 24, 3) for y in range(0, 24, 4)]
    targets = make_targets(many, 24)
    painted = paint(targets)
    assert len(targets["centers"]) == 48 and len(painted.people) == 30 and painted.learnt.all()
    assert (painted.everybody[0, 0] == 1).sum() == 48


def test_nobody_and_nobody_with_a_label(make_targets):
    unlabelled = make_targets([person([(1, 1, 0), (3, 3, 0)], [(1, 1), (9, 9)])], 24)
    assert unlabelled["centers"].shape == (0, 2) and not unlabelled["labelled"].any()
    painted = paint_targets([make_targets([], 24), unlabelled], (24, 24))
    assert not painted.everybody.any()
    assert len(painted.people) == 1 and not painted.learnt.any() and not painted.labelled.any()


END, MIRRORED_END, END_SUMS = [(80, 98), (75, 65)], [(80, 28), (75, 61)], [995.3797, 1469.50046]


@pytest.mark.parametrize(
    ("image_id", "mask", "cells", "flipped", "labelled", "sums", "centers"),
    [
        (
            217285,
            9481,
            [(49, 7), (35, 54), (32, 61), (1, 125), (22, 82), (43, 18), (2, 111), (37, 40), (61, 126), *END],
            [(49, 119), (35, 72), (32, 65), (1, 1), (22, 44), (43, 108), (2, 15), (37, 86), (61, 0), *MIRRORED_END],
            [6, 8, 9, 13, 13, 11, 13, 11, 12, 13, 16],
            # Of the seventh 104.65691 officially: a joint up to a cell above the image counts there as inside.
            [51.10891, 68.14522, 76.66337, 10.78668, 110.73598, 154.81135, 95.74428, 231.19556, 320.21988, *END_SUMS],
            290.556747,
        ),
        (
            183709,
            14347,
            [(74, 22), (110, 39), (56, 107), (92, 60)],
            [(74, 104), (110, 87), (56, 19), (92, 66)],
            [1, 2, 4, 8],
            [50.18161, 108.50861, 826.21449, 1552.50452],
            608.073277,
        ),
    ],
)
def test_real_people_are_the_official_ones(image_id, mask, cells, flipped, labelled, sums, centers, test_data):
    file = "annotations/person_keypoints_val2017.json"
    samples = CocoKeypoints(data_root=test_data / "coco", ann_file=file, image_dir="val2017", masks=True)
    sample = samples.images.ids.tolist().index(image_id)
    image = samples.read(sample)
    height, width = image.shape[:2]
    side = 1.1 * min(height, width)
    for mirror in (False, True):
        window = Crop(np.array([width / 2 + 5, height / 2 - 3]), np.array([side, side]), angle=20, mirror=mirror)
        frame = ShortSide(size=512)(image, window)[1]
        made = CenterTargets(4, 1024.0, "original")(to_input(samples.to_learn(sample), frame, samples.scheme), frame)
        painted = paint({name: torch.from_numpy(value) for name, value in made.items()}, 128)
        found = painted.cells[0][painted.learnt].flip(-1)
        if mirror:
            assert found.tolist() == [list(cell) for cell in flipped]
            continue
        assert found.tolist() == [list(cell) for cell in cells]
        assert abs(int(painted.use.sum()) - mask) <= 3
        assert painted.labelled[painted.learnt].sum(1).tolist() == labelled
        assert painted.people[painted.learnt].double().sum((1, 2, 3)).tolist() == pytest.approx(sums, abs=1e-3)
        assert painted.everybody[0, -1].double().sum().item() == pytest.approx(centers, abs=1e-4)
