import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.errors import CheckpointError
from hrtoolkit.frames import Warp
from hrtoolkit.model import mirror
from hrtoolkit.speed import fold
from hrtoolkit.tasks.bottom_up.adaptive import regular_grid
from hrtoolkit.tasks.bottom_up.dekr import DEKRHead, Look, regress
from hrtoolkit.tasks.bottom_up.dekr_targets import gather_people
from hrtoolkit.tasks.bottom_up.poses import sample_heights
from hrtoolkit.tasks.bottom_up.rescoring import RescoringNet
from hrtoolkit.totals import sum_losses

from .golden import assert_official, load_official, make_input, norm_shapes

GRID = regular_grid(torch.zeros(()))
TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)


def make_model(backbone=TINY, **options):
    head = dict(type="DEKRHead", scheme="coco", channels=backbone["width"]) | options
    imports = dict(imports=["hrtoolkit.tasks.bottom_up"], allow_failed_imports=False)
    return build_model(Config(dict(custom_imports=imports, model=dict(backbone=backbone, head=head))))


def official_shapes(joints, width):
    """Names and shapes of the official head, without the grids of taps."""
    shapes = {
        "transition_heatmap.0.weight": [width, 15 * width, 1, 1],
        **norm_shapes("transition_heatmap.1", width),
        "head_heatmap.1.weight": [joints + 1, width, 1, 1],
        "head_heatmap.1.bias": [joints + 1],
        "transition_offset.0.weight": [15 * joints, 15 * width, 1, 1],
        **norm_shapes("transition_offset.1", 15 * joints),
    }
    for i in (1, 2):
        shapes[f"head_heatmap.0.0.conv{i}.weight"] = [width, width, 3, 3]
        shapes |= norm_shapes(f"head_heatmap.0.0.bn{i}", width)
    for j in range(joints):
        for b in (0, 1):
            block = f"offset_feature_layers.{j}.{b}"
            for layer, rows in (("transform_matrix_conv", 4), ("translation_conv", 2)):
                shapes |= {f"{block}.{layer}.weight": [rows, 15, 3, 3], f"{block}.{layer}.bias": [rows]}
            shapes |= {f"{block}.adapt_conv.weight": [15, 15, 3, 3], **norm_shapes(f"{block}.bn", 15)}
        shapes |= {f"offset_final_layer.{j}.weight": [2, 15, 1, 1], f"offset_final_layer.{j}.bias": [2]}
    return shapes


def grids(joints):
    return {f"offset_feature_layers.{j}.{b}.regular_matrix": GRID for j in range(joints) for b in (0, 1)}


def test_w32_gives_the_official_outputs(tmp_path):
    model = make_model(dict(type="HRNet", width=32)).eval()
    report = load_official("dekr_w32_512", model, official_shapes(17, 32), tmp_path, constants=grids(17))
    assert report.ok and report.kind == "official DEKR", report.details()
    with torch.no_grad():
        assert_official("dekr_w32_512", model(make_input("dekr_w32_512")))
    assert sum(p.numel() for p in model.parameters()) == 29561182


# Decoding


PAIR = dict(names=["left", "right"], mirrored=[["left", "right"]])


def make_head(**options):
    return DEKRHead((8,), (4,), scheme=PAIR, channels=8, **options).eval()


def gaussian(size_hw, middle, height):
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size_hw), indexing="ij")
    return height * torch.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 2.88)


def make_look(s, move=0.0, centers=(0.95, 0.6)):
    """Two people on a map 6s high and 8s wide: joints (1.4, 1.2), (2.6, 3.1) and (6.2, 3.8), (5.1, 1.3) at s = 1."""
    size = (round(6 * s), round(8 * s))

    def highest(one, other, heights):
        pairs = zip((one, other), heights, strict=True)
        return torch.stack([gaussian(size, (x * s, y * s), height) for (x, y), height in pairs]).amax(0)

    heatmaps = [
        highest((1.4, 1.2), (6.2, 3.8), (0.9, 0.7)),
        highest((2.6, 3.1), (5.1, 1.3), (0.8, 0.75)),
        highest((2, 2), (6, 3), centers),
    ]
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
    left, right = (1.4 + move, 1.2, 2.6, 3.1 + move), (6.2 + move, 3.8, 5.1 - move, 1.3)
    joints = torch.where((x < 4 * s)[..., None], torch.tensor(left), torch.tensor(right)).permute(2, 0, 1)
    return Look(torch.stack(heatmaps)[None], torch.stack([x, y, x, y])[None] - s * joints[None], None, 4 / s)


def test_people_are_the_official_ones():
    found = make_head()._find_people([make_look(1)], [1.0], (24, 32), torch.tensor([[24, 32]]))
    points, heights, scores = (found[name][0] for name in ("points", "point_scores", "scores"))
    assert torch.allclose(
        points[:2].flatten(1), torch.tensor([[5.6, 4.8, 10.4, 12.4], [24.8, 15.2, 20.4, 5.2]]), atol=1e-5
    )
    joint_scores = heights[:2] * torch.tensor([[0.95], [0.6]])
    expected = [0.7842617047451456, 0.6924050581708677, 0.3892881674586074, 0.42055253719398605]
    assert joint_scores.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert scores[:2].tolist() == pytest.approx([0.7383333814580066, 0.40492035232629675], rel=1e-5)
    assert len(scores) == 30 and not scores[2:].any()


def test_people_at_several_scales_are_the_official_ones():
    looks = [make_look(s, move, (0.95 - 0.1 * s, 0.6 + 0.05 * s)) for s, move in ((2, 0.1), (1, 0.0), (0.5, -0.2))]
    head, sizes = make_head(nms_distance=0.15), torch.tensor([[24, 32]])
    points, centers = head._find_poses(looks, [2.0, 1.0, 0.5], sizes)
    there = centers[0] > 0
    assert torch.allclose(
        points[0, there].flatten(1),
        torch.tensor(
            [
                [6, 4.8, 10.4, 12.8],
                [25.2, 15.2, 20, 5.2],
                [5.6, 4.8, 10.4, 12.4],
                [24.8, 15.2, 20.4, 5.2],
                [4.8, 4.8, 10.4, 11.6],
            ]
        ),
        atol=1e-4,
    )
    assert centers[0, there].tolist() == pytest.approx([0.85 * 0.9, 0.7 / 0.75 * 0.85 * 0.9, 0.85, 0.65, 0.85 * 0.9])
    head.nms = "original"
    found = head._find_people(looks, [2.0, 1.0, 0.5], (24, 32), sizes)
    people = found["scores"][0] > 0
    expected = torch.tensor([[6, 4.8, 10.4, 12.8], [24.8, 15.2, 20.4, 5.2]])
    assert torch.allclose(found["points"][0, people].flatten(1), expected, atol=1e-4)
    joint_scores = found["point_scores"][0, people] * torch.tensor([[0.765], [0.65]])
    assert joint_scores.flatten().tolist() == pytest.approx(
        [0.6177920411727973, 0.5608091817820912, 0.41779191335498134, 0.435768397097201], rel=1e-5
    )
    assert found["scores"][0, people].tolist() == pytest.approx([0.5893006114774442, 0.42678015522609114], rel=1e-5)


def test_mirrored_inputs_are_averaged_as_in_the_official_code():
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
    images = (0.3 * x + 0.2 * y + torch.arange(3.0)[:, None, None]).sin()[None]

    def net(maps):
        m = torch.nn.functional.avg_pool2d(maps[0].mean(1, keepdim=True), 4)
        heat, offset = torch.arange(3.0)[:, None, None], torch.arange(4.0)[:, None, None]
        return [m * (heat + 1) + 0.1 * heat, m * (offset - 1) + 0.2 * offset]

    head = make_head()
    head.forward = net
    cells = torch.tensor([[[2, 1], [5, 3]]])
    look = head._look([images], None)
    assert look.heatmaps.sum((2, 3))[0].tolist() == pytest.approx(
        [0.4203195766505461, 3.2406391533010916, 6.060958729951637], rel=1e-4
    )
    assert regress(look, cells, head.flip_order)[0, 0].flatten().tolist() == pytest.approx(
        [1.3790968626858469, 0.8, 2.2209031373141532, 1.6418062746283062], rel=1e-5
    )
    look = head._look([images], [mirror(images, head.flip_shift)])
    averaged = look.average(slice(None), [*head.flip_order, -1])
    assert averaged.sum((2, 3))[0].tolist() == pytest.approx(
        [1.8505517359682224, 1.8405155504720203, 6.091067286440242], rel=1e-4
    )
    assert averaged[0, 0, 1, 2].item() == pytest.approx(-0.7642032489825632, rel=1e-4)
    poses = regress(look, cells, head.flip_order)[0]
    assert poses[0].flatten().tolist() == pytest.approx(
        [1.6376725911801802, 1.1037516803254865, 2.36232740881982, 1.2209031373141532], rel=1e-5
    )
    assert poses[1].flatten().tolist() == pytest.approx(
        [5.043668807633329, 2.488910190308272, 4.956331192366671, 3.02375219442507], rel=1e-5
    )
    points = torch.rand(1, 5, 2, 2) * 30 - 3
    sizes = torch.tensor([[14, 22]])
    heights = head._read_heights(look, points, sizes)
    assert torch.allclose(heights, sample_heights(averaged[:, :-1], points, 4, sizes), atol=1e-5)


@torch.no_grad()
def find(model, maps, sizes=None, flipped=None):
    """The records of an input as wide as its maps or, in a batch, as wide as `sizes` say."""
    sizes = np.array(sizes or [[4 * n for n in maps[0].shape[-2:]]] * len(maps[0]))
    matrices = np.tile(np.eye(2, 3), (len(sizes), 1, 1))
    frames = Warp(sizes, sizes, np.zeros(len(sizes), bool), matrices)
    return model.predict(maps, frames, flipped)


def speak(head, look):
    """Let a head say what a look has, whatever its maps are: of a batch of B the same B times."""
    head.forward = lambda maps: [one.expand(len(maps[0]), -1, -1, -1) for one in (look.heatmaps, look.offsets)]
    return head


def test_records_are_of_people_best_first_and_in_pixels_of_the_image():
    (people,) = find(speak(make_head(), make_look(1, centers=(0.6, 0.95))), [torch.zeros(1, 8, 6, 8)])
    assert people.points.dtype == np.float32 and np.allclose(people.points[0], [[24.8, 15.2], [20.4, 5.2]], atol=1e-4)
    assert np.allclose(people.boxes_xyxy[0], [20.4, 5.2, 24.8, 15.2], atol=1e-4)
    assert len(people.scores) == 2 and people.scores[0] > people.scores[1] and not people.labels.any()
    assert people.point_scores.shape == (2, 2)


def test_nobody_is_found_in_the_padding_of_a_batch():
    found = find(speak(make_head(), make_look(1)), [torch.zeros(2, 8, 6, 8)], [[24, 32], [24, 20]])
    assert [len(people.scores) for people in found] == [2, 1]


def test_nobody_is_nobody_and_of_a_crowd_the_best_thirty_are_found():
    look = make_look(1)
    (people,) = find(speak(make_head(), look._replace(heatmaps=-look.heatmaps)), [torch.zeros(1, 8, 6, 8)])
    assert people.points.shape == (0, 2, 2) and people.boxes_xyxy.shape == (0, 4)
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    heatmaps = torch.ones(1, 3, 40, 40)
    heatmaps[:, 2] = ((x % 5 == 0) & (y % 5 == 0)) * (0.2 + x / 100)  # 64 centres
    offsets = torch.zeros(1, 4, 40, 40)
    offsets[:, 2:] = -1.0  # two joints apart
    (people,) = find(speak(make_head(), Look(heatmaps, offsets, None, 4)), [torch.zeros(1, 8, 40, 40)])
    assert len(people.scores) == 30 and people.points[:, 0, 0].min() >= 4 * 20


def test_joints_move_onto_the_peaks_of_their_heatmaps():
    look = make_look(1)
    (people,) = find(speak(make_head(match=True), look._replace(offsets=look.offsets + 0.3)), [torch.zeros(1, 8, 6, 8)])
    expected = [[[5.6, 4.8], [10.4, 12.4]], [[24.8, 15.2], [20.4, 5.2]]]
    assert np.allclose(people.points, expected, atol=0.05)  # the maps are gaussians, though cut at the border


def test_a_net_rescores_people():
    torch.manual_seed(0)
    model = make_model(rescore=True).eval()
    plain, maps = make_model().eval(), make_maps(model, 1)
    plain.head.load_state_dict({k: v for k, v in model.head.state_dict().items() if "rescore" not in k})
    for head in (model.head, plain.head):
        head.head_heatmap[1].bias.data += 0.5
    (before,), (same,) = (find(one.head, maps) for one in (plain, model))
    assert len(before.scores) and np.allclose(before.scores, same.scores)
    model.head.rescore_net.l3.bias.data[:] = 0.5
    (rescored,) = find(model.head, maps)
    assert np.allclose(rescored.scores, before.scores / 2)
    model.head.rescore_net.l3.bias.data[:] = float("nan")
    (broken,) = find(model.head, maps)
    assert len(broken.scores) == len(before.scores) and np.allclose(broken.scores, 0, atol=1e-5)


def test_several_scales_of_a_batch_with_mirrored_inputs():
    torch.manual_seed(0)
    head = dict(type="DEKRHead", scheme="coco", channels=4)
    model = build_model(
        Config(
            dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.bottom_up"], allow_failed_imports=False),
                model=dict(backbone=TINY, head=head, flip_test=True, inference=dict(type="PoseMultiScale")),
            )
        )
    ).eval()
    model.head.head_heatmap[1].bias.data += 0.5
    sizes = np.array([[64, 128], [64, 96]])
    frames = Warp(sizes, sizes, np.zeros(2, bool), np.tile(np.eye(2, 3), (2, 1, 1)))
    with torch.no_grad():
        people = model(torch.randn(2, 3, 64, 128), frames=frames, mode="predict")
    assert all(0 < len(one.scores) <= 30 for one in people)
    assert all((np.diff(one.scores) <= 0).all() for one in people)


# Training


def make_target(people, size_hw=(64, 64), joints=17):
    """Targets of an input in which joint k of person n lies somewhere."""
    rng = np.random.default_rng(people)
    return {
        "points": torch.from_numpy(rng.uniform(4, 60, (people, joints, 2)).astype(np.float32)),
        "visible": torch.ones(people, joints),
        "corners": torch.zeros(people, 4, 2),
        "areas": torch.full((people,), 5000.0),
        "scale": torch.ones(()),
        "use": torch.ones(size_hw, dtype=torch.uint8),
        "mirrored": torch.tensor(False),
    }


def make_maps(model, count=2, size=64):
    with torch.no_grad():
        return model.extract(torch.randn(count, 3, size, size))


@pytest.mark.parametrize("counts", [(0, 0), (3, 0), (1, 4)])
@pytest.mark.parametrize("autocast", [False, True])
def test_losses_reach_all_weights_whoever_is_there(counts, autocast):
    torch.manual_seed(0)
    model = make_model().train()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        losses = model.head.loss(make_maps(model), [make_target(count) for count in counts], None)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for name, loss in losses.items() if "loss" in name)
    assert (losses["loss_offset"] == 0) == (sum(counts) == 0)
    sum_losses(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.head.parameters())


def test_right_outputs_have_no_loss_and_masked_ones_none_either():
    head = make_head()
    target = make_target(1, joints=2)
    target["points"] = torch.tensor([[[20.0, 24.0], [40.0, 36.0]]])
    people = gather_people([target], 4, 0.0)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    offsets = torch.stack([x - 5, y - 6, x - 10, y - 9])[None]
    heatmaps = head._paint(people, (16, 16))
    head.forward = lambda maps: [heatmaps, offsets]
    maps = [torch.zeros(1, 8, 16, 16)]
    assert sum_losses(head.loss(maps, [target], None)) == 0
    head.forward = lambda maps: [heatmaps + 1, offsets + 1]
    wrong = head.loss(maps, [target], None)
    assert wrong["loss_heatmap"] > 0
    # Every offset is wrong by 1, and weighs 1 / diagonal.
    assert wrong["loss_offset"].item() == pytest.approx(0.01 * (1 - 1 / 18) / 32)
    assert head.loss(maps, [target | {"use": 0 * target["use"]}], None)["loss_heatmap"] == 0
    smaller = head.loss(maps, [target | {"areas": torch.tensor([1000.0])}], None)
    assert smaller["loss_offset"] == 0


def test_targets_of_inputs_of_several_sizes_are_padded():
    torch.manual_seed(0)
    model = make_model().eval()
    maps = make_maps(model)
    small, large = make_target(2, (64, 40)), make_target(3)
    small["points"] /= 2
    together = model.head.loss(maps, [small, large], None)["loss_heatmap"]
    padded = small | {"use": torch.nn.functional.pad(small["use"], (0, 24))}
    assert together == model.head.loss(maps, [padded, large], None)["loss_heatmap"]


# Checkpoints


def official_tensors(joints=17, width=4, seed=0):
    """A checkpoint of the official code with the backbone of TINY."""
    torch.manual_seed(seed)
    model = make_model(scheme="coco")
    tensors = {name: torch.randn(tensor.shape) for name, tensor in model.backbone.state_dict().items() if tensor.ndim}
    shapes = official_shapes(joints, width)
    tensors |= {n: torch.randn(s).abs() if s else torch.zeros((), dtype=torch.int64) for n, s in shapes.items()}
    return {n: t.abs() if n.endswith("running_var") else t for n, t in tensors.items()} | grids(joints)


def to_mmpose(tensors, first, joints=17):
    """The same network as mmpose 1.x has it, or 0.x where `first` is false."""
    lead, offset = ("head.", "displacement") if first else ("keypoint_head.", "offset")
    heat, moved = f"{lead}heatmap_conv_layers", f"{lead}{offset}_conv_layers"
    renamed = {}

    def put(name, theirs):
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            if f"{name}.{part}" in tensors:
                renamed[f"{theirs}.{part}"] = tensors[f"{name}.{part}"]

    for ours, theirs in (("transition_heatmap", heat), ("transition_offset", moved)):
        put(f"{ours}.0", f"{theirs}.0.conv")
        put(f"{ours}.1", f"{theirs}.0.bn")
    for part in ("conv1", "bn1", "conv2", "bn2"):
        put(f"head_heatmap.0.0.{part}", f"{heat}.1.{part}")
    for kind in ("weight", "bias"):
        final = tensors[f"head_heatmap.1.{kind}"]
        renamed[f"{heat}.2.{kind}"] = final if first else torch.cat([final[-1:], final[:-1]])
        sign = -1 if first else 1
        renamed[f"{moved}.3.{kind}"] = sign * torch.cat(
            [tensors[f"offset_final_layer.{j}.{kind}"] for j in range(joints)]
        )
    for b in (0, 1):
        for kind in ("weight", "bias"):
            rows = []
            for j in range(joints):
                matrix = tensors[f"offset_feature_layers.{j}.{b}.transform_matrix_conv.{kind}"]
                if kind == "bias":
                    matrix = matrix - torch.tensor([1.0, 0, 0, 1])
                shift = tensors[f"offset_feature_layers.{j}.{b}.translation_conv.{kind}"]
                rows += [matrix[:2], shift[:1], matrix[2:], shift[1:]]
            renamed[f"{moved}.{b + 1}.transform_matrix_conv.{kind}"] = torch.cat(rows)
        for ours, theirs in (("adapt_conv", "adapt_conv"), ("bn", "norm")):
            for part in ("weight", "bias", "running_mean", "running_var"):
                names = [f"offset_feature_layers.{j}.{b}.{ours}.{part}" for j in range(joints)]
                if names[0] in tensors:
                    renamed[f"{moved}.{b + 1}.{theirs}.{part}"] = torch.cat([tensors[name] for name in names])
        renamed[f"{moved}.{b + 1}.norm.num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
        renamed[f"{moved}.{b + 1}.regular_matrix"] = torch.cat([GRID, torch.ones(1, 9)])
    parts = ("transition_heatmap", "head_heatmap", "transition_offset", "offset_")
    return renamed | {f"backbone.{n}": t for n, t in tensors.items() if not n.startswith(parts)}


def load(checkpoint, **options):
    model = make_model(**options)
    return model, load_checkpoint(model, checkpoint)


def test_files_of_the_official_code_and_of_mmpose_give_the_same_network():
    tensors = official_tensors()
    wrapped = {f"module.{name}": tensor for name, tensor in tensors.items()}
    training = {"epoch": 3, "model": "hrnet_dekr", "state_dict": wrapped, "best_state_dict": {}, "optimizer": {}}
    expected, report = load(tensors)
    assert report.ok and report.kind == "official DEKR" and not report.notes
    for kind, checkpoint in (
        ("official DEKR", training),
        ("mmpose DEKR", {"state_dict": to_mmpose(tensors, True), "meta": {}}),
        ("mmpose DEKR", {"state_dict": to_mmpose(tensors, False), "meta": {}}),
    ):
        model, report = load(checkpoint)
        assert report.ok and report.kind == kind, report.details()
        for name, tensor in model.state_dict().items():
            assert torch.allclose(tensor, expected.state_dict()[name], atol=1e-6), name


def test_another_grid_of_taps_is_told():
    tensors = official_tensors()
    tensors["offset_feature_layers.3.1.regular_matrix"] = 2 * GRID
    _, report = load(tensors)
    assert not report.ok and "its taps lie on another grid (offset_feature_layers.3.1.regular_matrix)" in str(report)


def test_a_file_that_lacks_a_joint_or_has_other_shapes_is_reported():
    tensors = official_tensors()
    tensors["offset_feature_layers.3.1.adapt_conv.weight"] = torch.zeros(15, 15, 1, 1)
    _, report = load(tensors)
    assert not report.fits and "head.offset_feature_layers.1.adapt_conv.weight" in report.missing
    _, report = load({n: t for n, t in official_tensors().items() if not n.startswith("offset_feature_layers.16.")})
    assert not report.fits and "head.offset_feature_layers.0.transform_matrix_conv.weight" in report.mis_shaped


def test_joints_of_another_scheme_are_taken_over_by_name():
    names = ["right_knee", "tail", "nose"]
    tensors = official_tensors()
    model = make_model(scheme=dict(names=names))
    report = load_checkpoint(model, tensors, scheme="coco")
    assert not report.mis_shaped and report.adopted["head.head_heatmap.1.weight"] == ["right_knee", "nose", "center"]
    head = model.head.state_dict()
    assert torch.equal(head["head_heatmap.1.weight"][[0, 2, 3]], tensors["head_heatmap.1.weight"][[14, 0, 17]])
    assert torch.equal(
        head["offset_feature_layers.1.adapt_conv.weight"][:15], tensors["offset_feature_layers.14.1.adapt_conv.weight"]
    )
    assert torch.equal(head["transition_offset.0.weight"][30:], tensors["transition_offset.0.weight"][:15])
    assert torch.equal(head["offset_final_layer.bias"][4:], tensors["offset_final_layer.0.bias"])


# What mmpose calls the links of its skeletons, and the official ones by place; a minus turns a link round.
MMPOSE_LINKS = {
    17: "-17 -15 -18 -16 +14 +9 +11 +7 +8 +10 +12 +13 +2 +0 +1 +3 +4 +5 +6",
    14: "-11 -9 -12 -10 +13 +7 +8 +14 +3 +4 +5 +6 +0 -2 -1",
}


@pytest.mark.parametrize("joints", [17, 14])
def test_the_rescoring_net_of_mmpose_sees_the_links_in_its_own_order(joints):
    torch.manual_seed(0)
    net = RescoringNet(joints).double()
    theirs = {name: torch.randn_like(tensor) for name, tensor in net.state_dict().items()}
    points, scores = torch.rand(5, joints, 2, dtype=torch.float64) * 100, torch.rand(5, joints, dtype=torch.float64)
    features = net.describe(points, scores)
    count = len(net.links)
    vectors, lengths, rest = features.split([2 * count, count, joints], dim=1)
    links = MMPOSE_LINKS[joints].split()
    order, signs = [int(link[1:]) for link in links], torch.tensor([float(link[0] + "1") for link in links])
    vectors = (vectors.unflatten(1, (-1, 2))[:, order] * signs[:, None]).flatten(1)
    seen = torch.cat([vectors, lengths[:, order], rest], dim=1)
    hidden = (seen @ theirs["l1.weight"].T + theirs["l1.bias"]).relu()
    hidden = (hidden @ theirs["l2.weight"].T + theirs["l2.bias"]).relu()
    expected = (hidden @ theirs["l3.weight"].T + theirs["l3.bias"])[:, 0]
    whole = to_mmpose(official_tensors(joints), True, joints)
    whole |= {f"head.rescore_net.{name}": tensor for name, tensor in theirs.items()}
    names = [f"joint {i}" for i in range(joints)]
    model, report = load({"state_dict": whole, "meta": {}}, rescore=True, scheme=dict(names=names))
    assert report.ok, report.details()
    assert torch.allclose(model.head.rescore_net.double()(points, scores), expected, rtol=1e-4)


def test_the_rescoring_net_has_a_file_of_its_own(tmp_path):
    net = RescoringNet(17)
    net.l3.bias.data[:] = 0.25
    torch.save(net.state_dict(), tmp_path / "rescore.pth")
    assert make_model(rescore=str(tmp_path / "rescore.pth")).head.rescore_net.l3.bias == 0.25
    torch.save(RescoringNet(14).state_dict(), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"does not fit the model[^\n]*\n.*other.pth"):
        make_model(rescore=str(tmp_path / "other.pth"))


def test_files_with_and_without_a_rescoring_net_fit_heads_with_and_without():
    whole = to_mmpose(official_tensors(), True)
    net = {f"head.rescore_net.{name}": tensor for name, tensor in RescoringNet(17).state_dict().items()}
    _, report = load({"state_dict": whole | net, "meta": {}})
    assert report.ok and "model.head.rescore=True takes it over" in str(report)
    _, report = load({"state_dict": whole, "meta": {}}, rescore=True)
    assert report.ok and "no net that rescores people" in str(report)


def test_a_folded_head_gives_the_same(caplog):
    torch.manual_seed(0)
    model = make_model().eval()
    for module in model.head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)
    images, folded = torch.randn(1, 3, 64, 64), fold(model)
    with torch.no_grad():
        for one, other in zip(model(images), folded(images), strict=True):
            assert torch.allclose(one, other, atol=1e-5)
    assert not caplog.records  # it would say what cannot be traced
