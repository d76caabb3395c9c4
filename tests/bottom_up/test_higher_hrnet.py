"""HigherHRNet: the official outputs, losses, people and files."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine import Config

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Warp
from hrtoolkit.speed import fold
from hrtoolkit.tasks.bottom_up.higher_hrnet import HigherHRNetHead
from hrtoolkit.tasks.bottom_up.inference import Seen
from hrtoolkit.tasks.bottom_up.peaks import pool_candidates

from .golden import GOLDEN, assert_official, load_official, make_input, norm_shapes

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, num_outputs=1)


def make_config(backbone, **head):
    head = dict(type="HigherHRNetHead", scheme="coco") | head
    return Config(
        dict(
            custom_imports=dict(imports=["hrtoolkit.tasks.pose", "hrtoolkit.tasks.bottom_up"]),
            model=dict(backbone=backbone, neck=dict(type="HighestResolution"), head=head),
        )
    )


def make_head(scheme=3, **options):
    names = [f"joint{i}" for i in range(scheme)] if isinstance(scheme, int) else scheme
    return HigherHRNetHead([4], [4], scheme=names, **options)


def official_shapes(channels, joints):
    shapes = {"final_layers.0.weight": (2 * joints, channels, 1, 1), "final_layers.0.bias": (2 * joints,)}
    shapes |= {"final_layers.1.weight": (joints, channels, 1, 1), "final_layers.1.bias": (joints,)}
    shapes["deconv_layers.0.0.0.weight"] = (channels + 2 * joints, channels, 4, 4)
    shapes |= norm_shapes("deconv_layers.0.0.1", channels)
    for block in range(1, 5):
        for part in (1, 2):
            name = f"deconv_layers.0.{block}.0"
            shapes[f"{name}.conv{part}.weight"] = (channels, channels, 3, 3)
            shapes |= norm_shapes(f"{name}.bn{part}", channels)
    return shapes


@pytest.mark.parametrize(("entry", "width"), [("higherhrnet_w32_512", 32), ("higherhrnet_w48_640", 48)])
def test_official_outputs(entry, width, tmp_path):
    model = build_model(make_config(dict(type="HRNet", width=width, num_outputs=1))).eval()
    report = load_official(entry, model, official_shapes(width, 17), tmp_path)
    assert report.ok and not report.differences and report.kind == "official HigherHRNet"
    assert sum(p.numel() for p in model.parameters()) == GOLDEN[entry]["params"]
    with torch.no_grad():
        assert_official(entry, model(make_input(entry)))


def test_inputs_of_any_size_are_taken():
    model = build_model(make_config(TINY)).eval()
    for (height, width), rows, columns in (((126, 157), 32, 40), ((124, 128), 31, 32), ((20, 33), 5, 9)):
        coarse, fine = model(torch.zeros(1, 3, height, width))
        assert coarse.shape == (1, 34, rows, columns) and fine.shape == (1, 17, 2 * rows, 2 * columns)


def test_a_folded_network_gives_the_same():
    torch.manual_seed(0)
    model = build_model(make_config(TINY)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    folded = fold(model)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for one, other in zip(model(images), folded(images), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


# Files


def small_tensors(**options):
    model = build_model(make_config(TINY, **options))
    model.head.final_layers[0].bias.data.uniform_()
    return model, dict(model.state_dict())


def test_files_of_mmpose_0_load_by_name():
    model, tensors = small_tensors()
    theirs = {name.replace("head.", "keypoint_head.", 1): tensor for name, tensor in tensors.items()}
    other = build_model(make_config(TINY))
    report = load_checkpoint(other, {"meta": {"mmpose_version": "0.29.0"}, "state_dict": theirs})
    assert report.ok and report.kind == "OpenMMLab HigherHRNet"
    assert torch.equal(other.head.final_layers[0].bias, model.head.final_layers[0].bias)


def test_files_of_the_official_training_load_by_name():
    model, tensors = small_tensors()
    bare = {name.split(".", 1)[1]: tensor for name, tensor in tensors.items()}
    wrapped = {f"module.{name}": tensor for name, tensor in bare.items()}
    file = {"epoch": 300, "model": "pose_higher_hrnet", "state_dict": wrapped, "best_state_dict": bare, "perf": 0.0}
    other = build_model(make_config(TINY))
    report = load_checkpoint(other, file | {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}})
    assert report.ok and report.kind == "official HigherHRNet"
    assert torch.equal(other.head.final_layers[0].bias, model.head.final_layers[0].bias)


@pytest.mark.parametrize("lead", ["keypoint_head.", "head."])
def test_files_of_one_level_load_by_name(lead):
    model, tensors = small_tensors(levels=1)
    theirs = {name.replace("head.final_layers.0.", f"{lead}final_layer."): tensor for name, tensor in tensors.items()}
    other = build_model(make_config(TINY, levels=1))
    report = load_checkpoint(other, {"state_dict": theirs})
    assert report.ok and torch.equal(other.head.final_layers[0].bias, model.head.final_layers[0].bias)


def test_a_network_for_crops_gives_its_backbone_alone():
    config = make_config(TINY)
    config.model.head = dict(type="HeatmapHead", scheme="coco")
    single = build_model(config)
    official = {name.split(".", 1)[1]: tensor for name, tensor in single.state_dict().items()}
    for levels in (1, 2):
        for weights in (official, dict(single.state_dict())):
            report = load_checkpoint(build_model(make_config(TINY, levels=levels)), weights)
            assert report.part_fits("backbone") and not report.fits
            assert any("final_layers.0" in name for name in report.missing)
    several = dict(small_tensors()[1])
    for weights in (several, {name.split(".", 1)[1]: tensor for name, tensor in several.items()}):
        report = load_checkpoint(single, weights)
        assert report.part_fits("backbone") and not report.fits and "head.final_layer.weight" in report.missing


# People

POOLED = pytest.mark.parametrize("pooled", [False, True])


class Given(HigherHRNetHead):
    """A head whose maps are its outputs."""

    def forward(self, maps):
        return maps


def as_given(head):
    head.__class__ = Given
    return head


def identity_frames(*sizes_hw):
    matrix = np.eye(2, 3)
    return Warp.stack([Warp(size, size, False, matrix) for size in sizes_hw])


def bump(cx, cy, height, hw=(12, 14)):
    y, x = np.mgrid[: hw[0], : hw[1]]
    return height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 4.5)


def make_scene():
    """Heatmaps [3, 12, 14] and tags [3, 2, 12, 14] of two people, the second without a clear last joint."""
    heat = np.stack(
        [
            np.maximum(bump(2.4, 2.2, 0.9), bump(9.3, 3.1, 0.8)),
            np.maximum(bump(3, 6.6, 0.7), bump(10.2, 7, 0.65)),
            np.maximum(bump(2, 10, 0.6), bump(11, 9.6, 0.09)),
        ]
    )
    y, x = np.mgrid[:12, :14]
    tags = np.where(x >= 7, 3.0, 0) + 0.02 * y + 0.1 * np.arange(3)[:, None, None]
    return torch.tensor(heat).float(), torch.tensor(np.stack([tags, tags + 0.05], axis=1)).float()


def find_people(head, heat, tags, size_hw=None, pooled=False):
    """What a head reads from maps as large as the input, with candidates as a GPU finds them or without."""
    size_hw = size_hw or tuple(heat.shape[-2:])
    found = {"heatmaps": heat[None], "tags": tags[None]}
    if pooled:
        found |= pool_candidates(heat[None], tags[None], 1, torch.tensor([size_hw]))
    head.strides = [1]
    return head.read({name: value.numpy() for name, value in found.items()}, identity_frames(size_hw))[0]


@POOLED
def test_people_are_the_official_ones(pooled):
    people = find_people(make_head(), *make_scene(), pooled=pooled)
    np.testing.assert_allclose(
        people.points,
        [[(2.75, 2.75), (3.25, 7.25), (2.25, 10.25)], [(9.75, 3.75), (10.75, 7.25), (11.25, 10.25)]],
    )
    known = [[0.860876, 0.675548, 0.6], [0.782418, 0.644248, 0.086856]]
    np.testing.assert_allclose(people.point_scores, known, atol=1e-6)
    np.testing.assert_allclose(people.scores, [0.712141, 0.475555], atol=1e-6)
    np.testing.assert_allclose(people.boxes_xyxy, [(2.25, 2.75, 3.25, 10.25), (9.75, 3.75, 11.25, 10.25)])


@POOLED
def test_joints_are_filled_as_in_the_official_code(pooled):
    people = find_people(make_head(threshold=0.7), *make_scene(), pooled=pooled)
    points = [[(2.75, 2.75), (3.25, 7.25), (2.25, 9.75)], [(9.75, 3.75), (10.75, 7.25), (11.25, 10.25)]]
    np.testing.assert_allclose(people.points, points)
    np.testing.assert_allclose(people.point_scores[0, 2], 0.480442, atol=1e-6)
    np.testing.assert_allclose(people.scores, [0.286959, 0.260806], atol=1e-6)


@pytest.mark.parametrize("fill", [None, 0.1])
def test_a_joint_that_is_not_found_lies_between_the_others(fill):
    people = find_people(make_head(fill=fill), *make_scene())
    np.testing.assert_allclose(people.points[1], [(9.75, 3.75), (10.75, 7.25), (10.25, 5.5)])
    assert people.point_scores[1, 2] == 0 and people.scores[1] == pytest.approx(0.475555, abs=1e-6)


@POOLED
def test_nobody_is_found_on_empty_maps_and_on_small_ones(pooled):
    people = find_people(make_head(), torch.zeros(3, 12, 14), torch.zeros(3, 2, 12, 14), pooled=pooled)
    assert people.points.shape == (0, 3, 2) and people.boxes_xyxy.shape == (0, 4) and people.scores.shape == (0,)
    small = torch.zeros(3, 4, 5)
    small[:, 2, 3] = 0.8
    people = find_people(make_head(), small, torch.zeros(3, 1, 4, 5), pooled=pooled)
    np.testing.assert_allclose(people.points, [[(3.25, 2.25)] * 3])


@POOLED
def test_candidates_are_the_official_ones(pooled):
    heat = torch.zeros(1, 8, 9)
    heat[0, 2, 3] = heat[0, 2, 4] = 0.9
    heat[0, 5, 7], heat[0, 7, 0], heat[0, 4, 5] = 0.5, 0.3, 0.6
    tags = 10.0 * torch.arange(72).view(1, 1, 8, 9)  # everybody is somebody else
    people = find_people(make_head(1), heat, tags, pooled=pooled)
    assert (people.points[:, 0] // 1).tolist() == [[3, 2], [4, 2], [0, 7]]
    assert people.scores.tolist() == pytest.approx([0.9, 0.9, 0.3])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["heatmaps", "tags"])
def test_nobody_is_found_where_maps_are_not_finite(bad, place):
    maps = make_scene()
    maps[place == "tags"].fill_(bad)
    assert len(find_people(make_head(), *maps).scores) == 0


@POOLED
def test_nobody_is_found_in_the_padding_of_a_batch(pooled):
    heat, tags = make_scene()
    heat[2] = heat[2].flip(-1)  # what the first person has of the last joint lies in the padding too
    people = find_people(make_head(), heat, tags, (12, 8), pooled)
    assert len(people.points) == 1 and people.points[0, 0].tolist() == [2.75, 2.75]
    assert people.points[..., 0].max() < 8


def test_more_people_than_candidates_are_cut_to_the_best():
    heat = torch.zeros(1, 1, 40, 120)
    heat[0, 0, 2::5, 2::5] = 0.2 + torch.rand(8, 24, generator=torch.Generator().manual_seed(0))
    people = find_people(make_head(1), heat[0], torch.arange(4800.0).view(1, 1, 40, 120))
    assert len(people.scores) == 30 and people.scores.min() >= heat.flatten().topk(30).values[-1]


# Several scales and mirrored inputs


def stub(images):
    """Outputs of a network that pools the channels of its images."""
    mean = images.mean(1, keepdim=True)
    coarse, fine = F.avg_pool2d(mean, 4), F.avg_pool2d(mean, 2) ** 2
    return [
        torch.cat([coarse * (c + 1) + 0.1 * c for c in range(4)], 1),
        torch.cat([fine * (c + 1) - 0.05 * c for c in range(2)], 1),
    ]


def draw_image(scale):
    y, x = (torch.arange(round(side * scale), dtype=torch.float64) for side in (16, 24))
    return torch.stack([torch.sin(0.3 * x / scale + 0.2 * y[:, None] / scale + c) for c in range(3)])[None]


@pytest.mark.parametrize(
    ("scales", "flip", "sums", "points", "tags"),
    [
        (
            *((1,), False, (48.13365794364794, 105.8673158872959)),
            (0.5239473517409803, -0.055511862124339374, 0.013390283129081693),
            ([-1.0053172577697203], [-1.39500877770028]),
        ),
        (
            *((1,), True, (77.00048691547192,) * 2),
            (0.7984210276114704, -0.07076779318650905, 0.0037927123468113055),
            ([-1.0053172577697203, -1.3070896770262932], [-1.39500877770028, -1.0712565832752101]),
        ),
        (
            *((2, 1, 0.5), True, (76.00862986608756,) * 2),
            (0.7169577422947829, -0.03809496504567039, 0.04689279204688212),
            ([-1.0053172577697203, -1.3070896770262932], [-1.39500877770028, -1.0712565832752101]),
        ),
    ],
)
def test_scales_and_mirrored_inputs_are_joined_as_in_the_official_code(scales, flip, sums, points, tags):
    head = as_given(make_head(["left", "right"]))
    head.flip_order = [1, 0]
    images = [draw_image(scale) for scale in scales]
    seen = [Seen(s, stub(x), stub(x.flip(-1)) if flip else None) for s, x in zip(scales, images, strict=True)]
    found = head.decode_scales(iter(seen), (16, 24), torch.tensor([[16, 24]]))
    heat = found["heatmaps"][0].double()
    assert heat.sum((1, 2)).tolist() == pytest.approx(sums, abs=1e-4)
    read = (heat[0, 0, 0].item(), heat[0, 5, 7].item(), heat[1, 15, 23].item())
    assert read == pytest.approx(points, abs=1e-6)
    full = F.interpolate(found["tags"][0], size=(16, 24), mode="bilinear", align_corners=False)
    assert full[0, :, 5, 7].tolist() == pytest.approx(tags[0], abs=1e-6)
    assert full[1, :, 15, 23].tolist() == pytest.approx(tags[1], abs=1e-6)
    if scales == (1,):
        once = head.decode(seen[0].maps, seen[0].flipped, torch.tensor([[16, 24]]))
        assert once["heatmaps"].shape[-2:] == (8, 12) and torch.equal(once["tags"], found["tags"])
        one, other = (
            head.read({name: value.numpy() for name, value in outputs.items()}, identity_frames((16, 24)))[0]
            for outputs in (once, found)
        )
        np.testing.assert_allclose(one.points, other.points)
        np.testing.assert_allclose(one.point_scores, other.point_scores, atol=1e-6)


# Learning


def make_targets(count, hw=(64, 96), joints=17, mirrored=False, seed=0):
    rng = np.random.default_rng(seed)
    size = np.array(hw[::-1])
    return {
        "points": torch.tensor(rng.uniform(0, size, (count, joints, 2)), dtype=torch.float32),
        "visible": torch.tensor(rng.integers(0, 3, (count, joints)), dtype=torch.float32),
        "mirrored": torch.tensor(mirrored),
        "use": torch.ones(hw, dtype=torch.uint8),
    }


@pytest.mark.parametrize("levels", [1, 2])
def test_a_batch_gives_finite_losses_and_touches_every_weight(levels):
    torch.manual_seed(0)
    model = build_model(make_config(TINY, levels=levels))
    targets = [make_targets(3), make_targets(0), make_targets(1, hw=(60, 90), mirrored=True, seed=1)]
    losses = model(torch.randn(3, 3, 64, 96), targets, None, mode="loss")
    assert set(losses) == {"loss_heatmap_4", "loss_pull", "loss_push", "loss_heatmap_2"} - {
        "loss_heatmap_2" if levels == 1 else ""
    }
    sum(losses.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_tags_weigh_as_much_as_is_said():
    losses = []
    for options in ({}, {"tag_weight": 0.005}):
        torch.manual_seed(0)
        head = make_head(17, **options)
        losses.append(head.loss([torch.randn(1, 4, 16, 24)], [make_targets(3)], None))
    usual, heavy = losses
    for name, value in usual.items():
        factor = 1 if "heatmap" in name else 5
        torch.testing.assert_close(heavy[name], factor * value)


def test_images_without_people_pull_and_push_nothing():
    model = build_model(make_config(TINY))
    losses = model(torch.randn(2, 3, 64, 96), [make_targets(0), make_targets(0)], None, mode="loss")
    assert losses["loss_pull"] == 0 and losses["loss_push"] == 0
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_what_is_not_used_costs_nothing():
    model = build_model(make_config(TINY)).eval()
    image, one = torch.randn(1, 3, 64, 96), make_targets(2)
    one["use"][:, 48:] = 0
    one["points"][..., 0].clamp_(max=40)
    losses = model(image, [one], None, mode="loss")
    one["points"] = torch.cat([one["points"], torch.full((1, 17, 2), 90.0)])
    one["visible"] = torch.cat([one["visible"], torch.ones(1, 17)])
    more = model(image, [one], None, mode="loss")
    for stride in (2, 4):  # but for the edge of gaussians
        assert more[f"loss_heatmap_{stride}"].item() == pytest.approx(losses[f"loss_heatmap_{stride}"].item(), rel=1e-6)


def test_options_that_do_not_exist_are_refused():
    for options in (dict(levels=3), dict(push="min"), dict(flip="yes")):
        with pytest.raises(OptionError, match="expected one of"):
            make_head(**options)
