"""CID's network, decoding and losses against the numbers of the official code."""

import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model
from hrtoolkit.frames import Warp
from hrtoolkit.necks import Concat
from hrtoolkit.tasks.bottom_up.cid import CIDHead, gather_features
from hrtoolkit.tasks.bottom_up.cid_reading import read_heatmaps, read_peaked

from .golden import GOLDEN, assert_official, load_official, make_input


def waves(shape, step, start):
    """sin(step * i + start), i counted in rows."""
    return torch.sin(step * torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + start).view(shape)


def tiny_head(**options):
    """The sheet's small head: three keypoints, five channels that become four."""
    head = CIDHead([5], [4], scheme=dict(names=["a", "b", "c"], mirrored=[("a", "b")]), channels=4, **options)
    head = head.double().eval()
    values = {}
    for name, tensor in head.state_dict().items():
        if tensor.ndim:
            size = 0.5 if tensor.ndim > 1 else 0.2
            values[name] = size * waves(tensor.shape, 0.7, len(name))
    head.load_state_dict(values, strict=False)
    return head


FIRST = waves([1, 5, 7, 9], 0.37, 0.1)
SECOND = waves([1, 5, 7, 9], 0.53, 0.4)
SIZES = torch.tensor([[28, 36]])


@torch.no_grad()
def test_centers_are_the_official_ones():
    head = tiny_head()
    logits = head([FIRST])
    row = [-0.0539374523421293, 0.0025077314214379024, 0.05020322150327703, 0.08269365707047102]
    assert logits[0, -1, 0, :4].tolist() == pytest.approx(row)
    assert logits.sum().item() == pytest.approx(-35.46107445125244, abs=1e-5)
    (look,) = head._look([FIRST], None)
    _, cells, values = head._find_centers([look], SIZES // 4)
    assert cells[0, :3].tolist() == [[2, 4], [3, 2], [7, 5]]
    known = [0.4981861569170517, 0.498183482293833, 0.49033844507401847]
    assert values[0, :3].tolist() == pytest.approx(known, abs=1e-9)


def test_features_of_people_are_those_of_the_joined_maps():
    first = gather_features([FIRST], torch.tensor([[[2, 4]]]))
    known = [0.999739337036853, -0.22711266518305065, -0.8865064447767999, 0.6691033778909921, 0.5529076530119089]
    assert first[0, 0].tolist() == pytest.approx(known)
    maps = [torch.rand(2, c, h, w).double() for c, h, w in ((3, 9, 14), (4, 5, 7), (2, 2, 4), (5, 1, 2))]
    (joined,) = Concat([3, 4, 2, 5], [4, 8, 16, 32])(maps)
    cells = torch.tensor([[[0, 0], [13, 8], [5, 3]], [[7, 8], [13, 0], [0, 4]]])
    torch.testing.assert_close(gather_features(maps, cells), gather_features([joined], cells))


def test_half_precision_takes_features_from_the_same_place():
    ramp = torch.arange(80.0).repeat(1, 1, 2, 1)  # the enlarged map rises by a quarter a cell
    maps = [torch.zeros(1, 1, 8, 320), ramp]
    cells = torch.tensor([[[x, 3] for x in range(2, 318, 5)]])
    rough = gather_features([x.bfloat16() for x in maps], cells)
    torch.testing.assert_close(rough.float(), gather_features(maps, cells), rtol=0.005, atol=0.01)


PEOPLE = [(FIRST, [[[3, 2]]]), (SECOND, [[[0, 6]]]), (FIRST, [[[8, 0]]])]  # features, and the cell (x, y) of a centre


@pytest.mark.parametrize(
    ("offset", "sums"),
    [
        (
            0.0,
            [
                [33.93663225010323, 32.94351129869954, 29.42650408908282],
                [33.92238865351918, 32.992939450893374, 29.347824823270123],
                [33.88548650391866, 33.05041855655525, 29.27670635220965],
            ],
        ),
        (
            0.5,
            [
                [33.93673114060305, 32.943168576264675, 29.427049708290923],
                [33.922664248351644, 32.99246500331262, 29.348440719051126],
                [33.88576054471291, 33.049836109591375, 29.277526956599818],
            ],
        ),
    ],
)
@torch.no_grad()
def test_heatmaps_of_people_are_the_official_ones(offset, sums):
    head = tiny_head()
    head.gfd.s_attn.grid_offset.fill_(offset)
    heatmaps = [head.person_logits([x], torch.tensor(cell)).sigmoid()[0, 0] for x, cell in PEOPLE]
    for heatmap, known in zip(heatmaps, sums, strict=True):
        assert heatmap.sum((1, 2)).tolist() == pytest.approx(known, abs=1e-9)
    if not offset:
        places = [heatmaps[0][0, 2, 3], heatmaps[1][2, 6, 0], heatmaps[2][1, 0, 8]]
        known = [0.5413061470274766, 0.46495748075574206, 0.5304360923220144]
        assert [place.item() for place in places] == pytest.approx(known)


@torch.no_grad()
def test_attention_is_the_official_one():
    head = tiny_head()
    down = head._features([FIRST])
    known = [-0.28683544894752083, 0.0704339227106183, 0.053522063106353684, 0.18528036849895246]
    assert down[0, :, 2, 3].tolist() == pytest.approx(known)
    assert (down + 0).sum().item() + head._features([SECOND]).sum().item() == pytest.approx(13.790985829618721)
    cell = torch.tensor([[[3, 2]]])
    people = gather_features([FIRST], cell)
    known = [0.02264972930099937, 0.10186474893405748, 0.2980268223017327, 0.020335443921407875]
    assert head.gfd.c_attn["atn"](people)[0, 0].tolist() == pytest.approx(known)
    mask = head.gfd.s_attn(down, people, cell)[0, 0]
    known = {(2, 3): 0.5947280615036209, (0, 0): 0.531405396017957, (6, 8): 0.4853683492092352}
    for place, value in known.items():
        assert mask[place].item() == pytest.approx(value)


@pytest.mark.parametrize("flip", [False, True])
@torch.no_grad()
def test_people_are_read_as_the_official_code_reads_them(flip):
    head = tiny_head()
    flipped = [waves([1, 5, 7, 9], 0.41, 0.2).flip(-1)] if flip else None
    found = head.decode([FIRST], flipped, SIZES)
    poses = torch.cat([found["points"], found["point_scores"][..., None]], -1)[0]
    if flip:
        known = [[23, 21, 0.3392568878772098], [7, 21, 0.28058142677013775], [17, 15, 0.24641375579903546]]
        assert poses[0].flatten().tolist() == pytest.approx([x for row in known for x in row])
        scores = [0.28875069014879434, 0.28569437633797706, 0.27556970374395756]
    else:
        known = [
            [[21, 13, 0.26903736818272195], [7, 7, 0.2619155345848819], [13, 11, 0.23415548477497933]],
            [[23, 13, 0.2690023311038278], [29, 19, 0.26185570166266414], [11, 11, 0.23405105796798112]],
            [[19, 21, 0.2645128289525445], [7, 7, 0.25739967422978005], [23, 21, 0.2297340650650882]],
        ]
        assert poses[:3].flatten().tolist() == pytest.approx([x for pose in known for row in pose for x in row])
        scores = [0.2550361291808611, 0.254969696911491, 0.25054885608247096]
    assert found["scores"][0, :3].tolist() == pytest.approx(scores)


@torch.no_grad()
def test_nobody_is_found_where_no_center_is():
    frames = Warp.stack([Warp((28, 36), (28, 36), False, np.eye(2, 3))])
    (people,) = tiny_head(threshold=1.0).predict([FIRST], frames)
    assert people.points.shape == (0, 3, 2) and people.boxes_xyxy.shape == (0, 4)


def test_a_quarter_of_a_cell_towards_the_higher_neighbour():
    maps = torch.zeros(1, 5, 5, 6).double()
    for i, cells in enumerate(
        [
            {(2, 3): 1, (2, 4): 0.5, (1, 3): 0.2},
            {(0, 0): 1, (0, 1): 0.9, (1, 0): 0.8},
            {(4, 5): 1, (4, 4): 0.5},
            {(2, 2): 1},
            {(0, 2): 1, (0, 1): 0.7, (1, 2): 0.4},
        ]
    ):
        for cell, value in cells.items():
            maps[0, i][cell] = value
    sizes = torch.tensor([[5, 6]])
    places, _ = read_heatmaps(maps, sizes, 1)  # a kernel of one cell smooths nothing
    assert places[0].tolist() == [[3.25, 1.75], [0, 0], [5, 4], [2, 2], [1.75, 0]]
    places, values = read_heatmaps(maps, sizes, 3)
    known = [0.5944444444444444, 0.65, 0.5833333333333334, 0.5555555555555556, 0.6166666666666667]
    assert values[0].tolist() == pytest.approx(known)
    assert (places[0] * 4 + 2).tolist() == [[15, 9], [2, 2], [22, 18], [10, 10], [9, 2]]


@pytest.mark.parametrize("kernel", [1, 3, 11])
def test_looking_at_few_cells_reads_the_same(kernel):
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.arange(40.0)[:, None], torch.arange(56.0)
    maps = torch.zeros(60, 40, 56)
    for _ in range(3):  # three bumps each, some of them beyond the edge
        x, y = (torch.rand(2, 60, 1, 1, generator=generator) * 1.2 - 0.1) * torch.tensor([56.0, 40])[
            :, None, None, None
        ]
        height, sigma = 0.1 + 0.9 * torch.rand(2, 60, 1, 1, generator=generator) * torch.tensor([1, 4.0]).view(
            2, 1, 1, 1
        )
        maps = maps.maximum(height * torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)))
    maps[-1] = 0.5  # nothing but equal cells
    sizes = torch.tensor([[40, 56]])
    for some in (maps[:-1], maps):
        few, all_of_them = read_peaked(some[None], kernel), read_heatmaps(some[None], sizes, kernel)
        torch.testing.assert_close(few[0], all_of_them[0])
        torch.testing.assert_close(few[1], all_of_them[1])


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """CID-W32 with the official names' weights, and the report of loading them; both entries have the same."""
    backbone = dict(type="HRNet", width=32)
    model = build_model(Config(dict(model=dict(backbone=backbone, head=dict(type="CIDHead", scheme="coco"))))).eval()
    shapes = {name: tensor.shape for name, tensor in model.head.state_dict().items() if tensor.ndim}
    report = load_official("cid_w32_512", model, shapes, tmp_path_factory.mktemp("cid"), lead="backbone.")
    return model, report


@pytest.mark.parametrize("entry", ["cid_w32_512", "cid_w32_512_odd"])
@pytest.mark.parametrize("joined", [False, True])
@torch.no_grad()
def test_the_network_is_the_official_one(entry, joined, official):
    model, report = official
    assert report.ok and report.kind == "official CID" and not report.differences, str(report)
    assert sum(one.numel() for one in model.parameters()) == GOLDEN[entry]["params"]
    maps = model.extract(make_input(entry))
    if joined:
        maps = Concat(model.backbone.out_channels, model.backbone.out_strides)(maps)
    cells = torch.tensor([[[x, y] for _, y, x in GOLDEN[entry]["centres"]]])
    everybody, people = model.head(maps), model.head.person_logits(maps, cells)[0]
    features = gather_features(maps, cells)[0]
    assert_official(entry, [everybody.sigmoid(), people.sigmoid(), everybody, people, features])


@pytest.mark.parametrize("flip", [False, True])
@torch.no_grad()
def test_people_of_the_official_network(flip, official):
    model, _ = official
    images = make_input("cid_w32_512")
    maps, flipped = model.extract(images), model.extract(images.flip(-1)) if flip else None
    found = {name: value[0] for name, value in model.head.decode(maps, flipped, torch.tensor([[128, 160]])).items()}
    there = found["scores"] > 0
    points, scores = found["points"][there], found["point_scores"][there]
    assert len(points) == (12 if flip else 17)
    sums = (16522, 14118, 86.5937) if flip else (20435, 22063, 126.3551)
    assert points[..., 0].sum().item() == sums[0] and points[..., 1].sum().item() == sums[1]
    assert scores.sum().item() == pytest.approx(sums[2], abs=2e-4)
    place = 10 if flip else 15
    known = [(7, 105, 0.471646), (7, 35, 0.328168), (153, 35, 0.330086), (67, 121, 0.41622)]
    if not flip:
        known = [(153, 107, 0.477087), (7, 7, 0.35699), (153, 119, 0.338204), (35, 107, 0.482964)]
    for keypoint, (x, y, score) in enumerate(known):
        assert points[place, keypoint].tolist() == [x, y]
        assert scores[place, keypoint].item() == pytest.approx(score, abs=2e-6)


def test_channels_of_a_persons_features_start_apart():
    """With the official weights of 0.001 everywhere Adam's first steps make them one and the same."""
    head = CIDHead([32, 64], [4, 8], scheme="coco")
    for layer in (head.gfd.conv_down, head.gfd.c_attn["atn"], head.gfd.s_attn.atn, head.gfd.fuse_attn):
        assert layer.weight.std() > 0.03
    for layer in (head.iia.keypoint_center_conv, head.gfd.heatmap_conv):
        assert layer.weight.std() < 0.002
        assert layer.bias.sigmoid().tolist() == pytest.approx([0.01] * len(layer.bias))
