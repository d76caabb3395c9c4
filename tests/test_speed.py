"""Folded and compiled forms against the model they come from."""

import copy
import json
import shutil

import numpy as np
import pytest
import timm
import torch
from torch import nn

from hrtoolkit import build_model
from hrtoolkit.backbones.hrnet import BasicBlock, HRNet
from hrtoolkit.config import load_config
from hrtoolkit.engine import test as run_test
from hrtoolkit.frames import Warp
from hrtoolkit.model import Branch, Model
from hrtoolkit.necks import HighestResolution
from hrtoolkit.parts import BaseHead
from hrtoolkit.speed import compile_blocks, fold, fold_batchnorm_

from .conftest import REPOSITORY
from .engine.test_run import make_config

TINY = {"width": 4, "modules": (1, 1, 1), "blocks": 1, "layer1_blocks": 1, "layer1_planes": 8}


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def randomize_(net):
    """Weights that keep activations near 1, and statistics and factors that folding cannot ignore."""
    generator = seeded()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            deviation = module.weight[0].numel() ** -0.5
            module.weight.data.normal_(0, deviation, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.0, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
            if module.track_running_stats:
                module.running_mean.uniform_(-0.5, 0.5, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
    return net.eval()


def make_model(**options) -> Model:
    backbone = HRNet(**{**TINY, **options})
    neck = HighestResolution(backbone.out_channels, backbone.out_strides)

    class Head(BaseHead):
        def __init__(self):
            super().__init__()
            self.final_layer = nn.Conv2d(neck.out_channels[0], 17, 1)

        def forward(self, maps):
            return self.final_layer(maps[0])

    return randomize_(Model(backbone, Branch(neck, Head())))


@pytest.mark.parametrize("size", [(64, 96), (101, 75)])
@pytest.mark.parametrize("options", [{}, {"num_outputs": 1}, {"fuse_upsample": "bilinear"}, {"width": 18}])
def test_folded_gives_the_same_heatmaps_and_leaves_the_model_alone(options, size):
    model = make_model(**options)
    before = copy.deepcopy(model.state_dict())
    folded = fold(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    images = torch.randn(2, 3, *size, generator=seeded())
    with torch.no_grad():
        expected, got = model(images), folded(images)
    assert expected.std() > 0.1
    assert (got - expected).abs().max() < 1e-4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "name, neck, unfolded",
    [
        ("classification/hrnet_w18_small_v1_imagenet", None, []),
        ("face/hrnetv2_w18_300w", "Concat", []),
        ("face/hrnetv2_w18_300w", None, ["head.1"]),  # part of its convolution when that runs
        ("segmentation/hrnetv2_w48_cityscapes", "Concat", []),
        ("segmentation/hrnetv2_w48_cityscapes", None, ["head.last_layer.1"]),
        ("segmentation/hrnetv2_w48_ocr_cityscapes", "Concat", []),
    ],
)
def test_every_head_is_folded(name, neck, unfolded):
    config = load_config(REPOSITORY / f"configs/{name}.py")
    config.model.backbone.update(TINY)
    config.model.neck = neck and {"type": neck}
    model = randomize_(build_model(config))
    images = torch.randn(2, 3, 64, 96, generator=seeded())
    folded = fold(model)
    left = [name for name, module in folded.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert left == unfolded
    with torch.no_grad():
        expected, got = (net(images) for net in (model, folded))
    if "ocr" in name:
        expected, got = expected[-1], got[-1]
    assert expected.std() > 0.1
    assert (got - expected).abs().max() < 1e-4


def test_sums_are_nested_only_where_sizes_double_and_upsampling_is_nearest():
    calls = []

    def count(net, size):
        calls.clear()
        for module in net.modules():
            if hasattr(module, "nest_sums"):
                module.nest_sums = True
        hook = net.stage4[-1].upsample.register_forward_hook(lambda _, args, __: calls.append(args[1]))
        with torch.no_grad():
            net(torch.zeros(1, 3, *size))
        hook.remove()
        return len(calls)

    # One module a stage. Nested: a step for each finer neighbour of the targets (1 + 2+1 + 3+2+1).
    # Otherwise: one step for each coarser source, which is the same number, but each to the target's full size.
    assert count(HRNet(**TINY), (64, 64)) == 10
    assert calls[-6:-3] == [(4, 4), (8, 8), (16, 16)]
    assert count(HRNet(**TINY), (72, 64)) == 10
    assert calls[-6:-3] == [(18, 16)] * 3
    count(HRNet(**TINY, fuse_upsample="bilinear"), (64, 64))
    assert calls[-6:-3] == [(16, 16)] * 3


def test_half_precision_reaches_backbone_and_neck_but_not_the_head():
    model = make_model(width=18)
    folded = fold(model, torch.bfloat16)
    assert {p.dtype for p in folded.backbone.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in folded.head.parameters()} == {torch.float32}
    images = torch.randn(2, 3, 64, 96, generator=seeded())
    with torch.no_grad():
        expected, got = model(images), folded(images)
    assert got.dtype == torch.float32
    # bfloat16 has 8 bits: relative errors of 2^-9 a rounding, over some 30 layers.
    assert (got - expected).abs().max() < 0.1 * expected.abs().max()
    assert (got - expected).abs().max() > 0


@pytest.mark.parametrize(
    ("name", "left"),
    [("hrnet_w18_small", 0), ("resnet18", 0), ("efficientnet_b0", 48), ("densenet121", 121), ("convnext_atto", 0)],
)
def test_nets_of_timm_fold_rightly_or_stay_as_they_are(name, left):
    net = randomize_(timm.create_model(name, features_only=True))
    images = torch.randn(1, 3, 64, 64, generator=seeded())
    with torch.no_grad():
        expected = net(images)
        fold_batchnorm_(net)
        got = net(images)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == left
    for a, b in zip(got, expected, strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


class Awkward(nn.Module):
    """What must not be folded: a convolution with a second reader, one used twice, a norm without statistics."""

    def __init__(self):
        super().__init__()
        self.read_twice, self.norm_of_read_twice = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.used_twice, self.norm_of_used_twice = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.before_batch_norm, self.batch_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)
        self.before_subclass = nn.Conv2d(4, 4, 1)
        self.subclass = timm.layers.BatchNormAct2d(4)
        self.plain, self.norm_of_plain = nn.Conv2d(4, 4, 1), nn.SyncBatchNorm(4)

    def forward(self, x):
        y = self.read_twice(x)
        x = y + self.norm_of_read_twice(y)
        x = self.norm_of_used_twice(self.used_twice(self.used_twice(x)))
        x = self.batch_norm(self.before_batch_norm(x))
        x = self.subclass(self.before_subclass(x))
        return self.norm_of_plain(self.plain(x))


def test_only_what_is_safe_to_fold_is_folded():
    net = randomize_(Awkward())
    images = torch.randn(3, 4, 8, 8, generator=seeded())
    with torch.no_grad():
        expected = net(images)
        assert fold_batchnorm_(net) == ["norm_of_plain"]
        assert torch.allclose(net(images), expected, atol=1e-5)


def test_a_net_that_cannot_be_traced_is_left_alone_and_named(caplog):
    class Branching(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    net = Branching(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    assert fold_batchnorm_(net) == []
    assert isinstance(net[1], nn.BatchNorm2d)
    assert "Branching keeps its BatchNorms" in caplog.text


@pytest.fixture
def traced_only(monkeypatch):
    """Compile to what Python runs, without machine code: seconds instead of a minute, and no C++ compiler."""
    compile = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, dynamic, options=None: compile(self, backend="eager"))
    torch._dynamo.reset()


def test_compiled_blocks_train_alike_and_keep_their_official_names(traced_only):
    plain = randomize_(HRNet(**TINY, num_outputs=1)).train()
    compiled = copy.deepcopy(plain)
    compile_blocks(compiled)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    assert compiled.layer1[0]._compiled_call_impl and compiled.stage4[0]._compiled_call_impl
    images = torch.randn(2, 3, 64, 64, generator=seeded())
    for net in (plain, compiled):
        net(images)[0].square().mean().backward()
    for (name, a), b in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-6), name
    for (name, a), b in zip(plain.named_buffers(), compiled.buffers(), strict=True):
        assert torch.allclose(a, b), name


def test_nets_without_blocks_or_in_eval_mode_are_compiled_as_a_whole(traced_only):
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    compile_blocks(net)
    assert net._compiled_call_impl and not net[0]._compiled_call_impl
    net = HRNet(**TINY).eval()
    compile_blocks(net)
    assert net._compiled_call_impl and not net.stage4[0]._compiled_call_impl


@pytest.mark.skipif(not shutil.which("c++"), reason="compiling for the CPU needs a C++ compiler")
def test_machine_code_of_a_folded_block_gives_the_same():
    block = randomize_(BasicBlock(4))
    compiled = copy.deepcopy(block)
    assert fold_batchnorm_(compiled) == ["bn1", "bn2"]
    compile_blocks(compiled)
    x = torch.randn(2, 4, 16, 16, generator=seeded())
    with torch.no_grad():
        expected = block(x)
        assert (compiled(x) - expected).abs().max() < 1e-4
        # Constants of the code, which is what lets it lay them out beforehand.
        compiled.conv1.weight.zero_()
        assert (compiled(x) - expected).abs().max() < 1e-4


def test_testing_gives_the_same_predictions_in_every_form(coco_folder, traced_only):
    config = make_config(coco_folder)
    model = randomize_(build_model(config))
    torch.save(model.state_dict(), coco_folder / "weights.pth")

    def predict(name, **options):
        out = coco_folder / f"{name}.json"
        run_test(make_config(coco_folder), coco_folder / "weights.pth", out=out, **options)
        return np.array([person["keypoints"] for person in json.loads(out.read_text())]).reshape(-1, 17, 3)

    plain = predict("plain")
    assert len(plain) == 3 and plain[..., 2].std() > 0.01
    for name, options in (("folded", {"folded": True}), ("compiled", {"folded": True, "compile": True})):
        np.testing.assert_allclose(predict(name, **options), plain, atol=1e-4)
    half = predict("half", amp="bfloat16")
    assert not np.array_equal(half, plain)
    np.testing.assert_allclose(half[..., 2], plain[..., 2], atol=0.1 * plain[..., 2].max())


def test_images_are_normalised_by_channel_in_channels_last_order():
    model = make_model()
    images = torch.randint(0, 256, (2, 3, 7, 5), dtype=torch.uint8, generator=seeded())
    kept = images.clone()
    expected = (images - torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)) / torch.tensor(
        [58.395, 57.12, 57.375]
    ).view(1, 3, 1, 1)
    for given in (images, images.to(memory_format=torch.channels_last), images.float()):
        frames = Warp(np.full((2, 2), (7, 5)), np.full((2, 2), (7, 5)), np.zeros(2, bool), np.zeros((2, 2, 3)))
        got = model.data_preprocessor({"images": given, "frames": frames})["images"]
        assert torch.equal(got, expected)
        assert got.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, kept)
