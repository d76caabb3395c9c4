"""Both heads: published sizes and names, official and timm outputs, losses, and data that does not fit."""

import argparse
import re

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.config import load_config
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.schemes import ClassScheme, check_same, resolve_scheme
from hrtoolkit.tasks.classification.head import ClassificationHead, PooledHead

from ..conftest import REPOSITORY
from ..test_official_outputs import assert_official, named_generator, named_value

# Parameters and tensors of each published size, and what timm calls it.
SIZES = {
    "w18_small_v1": (13_187_464, 552, "hrnet_w18_small"),
    "w18_small_v2": (15_597_464, 990, "hrnet_w18_small_v2"),
    "w18": (21_299_004, 1956, "hrnet_w18"),
    "w30": (37_712_220, 1956, "hrnet_w30"),
    "w32": (41_232_680, 1956, "hrnet_w32"),
    "w40": (57_557_160, 1956, "hrnet_w40"),
    "w44": (67_064_984, 1956, "hrnet_w44"),
    "w48": (77_469_864, 1956, "hrnet_w48"),
    "w64": (128_059_944, 1956, "hrnet_w64"),
}


def build(size, **head):
    config = load_config(REPOSITORY / f"configs/classification/hrnet_{size}_imagenet.py")
    config.model.head.update(head)
    return build_model(config)


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_the_published_ones_and_every_name_and_shape_is_timms(size):
    parameters, tensors, timm_name = SIZES[size]
    with torch.device("meta"):
        model, theirs = build(size), timm.create_model(timm_name)
    shapes = {name.split(".", 1)[1]: tensor.shape for name, tensor in model.state_dict().items()}
    assert sum(p.numel() for p in model.parameters()) == parameters and len(shapes) == tensors
    assert shapes == {name: tensor.shape for name, tensor in theirs.state_dict().items()}


@pytest.mark.parametrize(
    ("size", "timm_name", "bias"), [("w18_small_v1", "hrnet_w18_small", True), ("w18", "hrnet_w18_ssld", False)]
)
def test_weights_of_timm_give_its_logits(size, timm_name, bias):
    torch.manual_seed(0)
    theirs, model = timm.create_model(timm_name).eval(), build(size, conv_bias=bias).eval()
    report = load_checkpoint(model, theirs.state_dict())
    assert report.ok and report.kind == "official or timm classification"
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(images)
        # float32 sums in another order
        torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-4 * expected.std().item())


def test_w18_gives_the_official_logits(tmp_path):
    mean, std = 0.00011899781384272501, 0.15084950625896454
    values = {
        0: -0.06520472466945648,
        190: -0.28807199001312256,
        444: 0.2778472304344177,
        761: -0.1264696568250656,
        999: -0.11133499443531036,
    }
    model = build("w18").eval()
    names = {name.split(".", 1)[1]: tensor for name, tensor in model.state_dict().items()}
    torch.save({name: named_value(name, tensor) for name, tensor in names.items()}, tmp_path / "official.pth")
    assert load_checkpoint(model, tmp_path / "official.pth").ok
    with torch.no_grad():
        logits = model(torch.randn(1, 3, 224, 224, generator=named_generator("cls_hrnet_w18")))[0]
    assert_official(logits, mean, std, values)


def test_a_pooled_head_fits_any_backbone():
    config = load_config(REPOSITORY / "configs/classification/hrnet_w18_imagenet.py")
    config.model.backbone = dict(type="TimmBackbone", name="resnet18")
    config.model.head = dict(type="PooledHead", scheme=["ant", "bee"], dropout=0.5)
    model = build_model(config).eval()
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 2)
    with pytest.raises(OptionError, match=r"strides 4, 8, 16 and 32, got \(4,\).* or PooledHead"):
        ClassificationHead((8,), (4,), scheme=2)
    with pytest.raises(OptionError, match=r"scheme must be one of .*a number of classes"):
        PooledHead((8,), (4,))


class Logits(nn.Module):
    """Stands for the linear layer: hands on what it gets."""

    def forward(self, x):
        return x


def make_head(classes=4, **options):
    head = PooledHead((classes,), (32,), scheme=classes, **options)
    head.classifier = Logits()
    return head


def test_the_loss_of_mixed_images_is_the_mixed_loss():
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    labels, maps = torch.tensor([2, 0, 2]), [logits[..., None, None]]
    mixing = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.25, 0.0, 0.75]])
    for smoothing in (0.0, 0.1):
        head = make_head(label_smoothing=smoothing)
        single = torch.stack(
            [F.cross_entropy(logits, labels[[j] * 3], reduction="none", label_smoothing=smoothing) for j in range(3)], 1
        )
        plain = head.loss(maps, {"label": labels}, frames=None)
        mixed = head.loss(maps, {"label": labels, "mixing": mixing}, frames=None)
        torch.testing.assert_close(plain["loss_class"], single.diagonal().mean())
        torch.testing.assert_close(mixed["loss_class"], (mixing * single).sum(1).mean())
        assert plain["accuracy"] == (logits.argmax(1) == labels).float().mean()


def test_flip_test_averages_logits():
    a, b = torch.tensor([[1.0, 0.0, 3.0, 2.0]]), torch.tensor([[5.0, 0.0, 0.0, 1.0]])
    (result,) = make_head().predict([a[..., None, None]], None, [b[..., None, None]])
    assert result.label == 0
    torch.testing.assert_close(torch.from_numpy(result.class_scores), ((a + b) / 2).softmax(1)[0])


def test_classes_of_the_data_must_be_those_of_the_head():
    head = PooledHead((8,), (32,), scheme=["ant", "bee"]).scheme
    numbered = {count: resolve_scheme(count, ClassScheme) for count in (1, 2, 3)}
    for fine in (["ant", "bee"], ["bee", "ant"]):
        check_same(ClassScheme(fine), head)
    check_same(numbered[2], head)
    check_same(numbered[1], head)  # a list of numbered classes may hold only some of them
    check_same(head, numbered[2])
    with pytest.raises(DataError, match=r"data has 3 classes .*, the head has 2 .*: only the data has wasp"):
        check_same(ClassScheme(["ant", "bee", "wasp"]), head)
    with pytest.raises(DataError, match=r"1 classes .*, the head has 2 .*: only the head has bee"):
        check_same(ClassScheme(["ant"]), head)
    with pytest.raises(DataError, match=r"has 3 classes \(0, 1, 2\), the head has 2 .*Leave model\.head\.scheme out"):
        check_same(numbered[3], head)
    with pytest.raises(DataError, match=r"has 2 classes \(ant, bee\), the head has 3"):
        check_same(head, numbered[3])


def test_outputs_of_equal_name_are_taken_over_and_a_thousand_others_are_not():
    def model(scheme):
        config = load_config(REPOSITORY / "configs/classification/hrnet_w18_imagenet.py")
        config.model.backbone = dict(type="TimmBackbone", name="resnet18")
        config.model.head = dict(type="PooledHead", scheme=scheme)
        return build_model(config)

    old, new = model(["ant", "bee"]), model(["wasp", "bee"])
    content = {"state_dict": old.state_dict(), "meta": {"output_names": ["ant", "bee"]}}
    report = load_checkpoint(new, content)
    assert report.adopted["head.classifier.weight"] == ["bee"] and not report.fits
    assert torch.equal(new.head.classifier.weight[1], old.head.classifier.weight[1])
    thousand = model(1000)
    report = load_checkpoint(new, thousand.state_dict())
    assert report.mis_shaped["head.classifier.weight"] == ((1000, 512), (2, 512)) and report.part_fits("backbone")


def hrnet_c():
    config = load_config(REPOSITORY / "configs/classification/hrnet_toy.py")
    return build_model(config)


def openmmlab_names(model):
    """As mmpretrain saves an HRNet: what leads to the classifier is a neck there, and its convolutions have no bias."""
    rules = (
        ("head.incre_modules.", "neck.increase_layers."),
        (r"head.downsamp_modules.(\d).0.", r"neck.downsample_layers.\1.conv."),
        (r"head.downsamp_modules.(\d).1.", r"neck.downsample_layers.\1.bn."),
        ("head.final_layer.0.", "neck.final_layer.conv."),
        ("head.final_layer.1.", "neck.final_layer.bn."),
        ("head.classifier.", "head.fc."),
    )
    file = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in rules:
            name = re.sub(ours, theirs, name)
        if not name.endswith("conv.bias"):
            file[name] = torch.rand(tensor.shape) if tensor.is_floating_point() else tensor
    return file


def test_an_hrnet_of_mmpretrain_loads_completely():
    model = hrnet_c()
    file = openmmlab_names(model)
    report = load_checkpoint(model, {"meta": {}, "state_dict": file})
    assert report.ok and report.kind == "OpenMMLab classification", report.details()
    assert torch.equal(model.head.classifier.weight, file["head.fc.weight"])
    assert not model.head.final_layer[0].bias.any()


def test_a_bias_that_the_model_has_not_goes_into_the_normalisation():
    config = load_config(REPOSITORY / "configs/classification/hrnet_toy.py")
    biased = build_model(config)
    for name, parameter in biased.head.named_parameters():
        torch.nn.init.normal_(parameter, std=0.1) if name.endswith("bias") else None
    config.model.head.conv_bias = False
    plain = build_model(config)
    assert load_checkpoint(plain, biased.state_dict()).ok
    maps = [torch.rand(2, channels, 16 // 2**i, 16 // 2**i) for i, channels in enumerate(plain.backbone.out_channels)]
    with torch.no_grad():
        torch.testing.assert_close(plain.eval().head(maps), biased.eval().head(maps))


def test_what_timms_training_says_of_its_images_is_compared():
    model = hrnet_c()
    official = {name.split(".", 1)[1]: tensor for name, tensor in model.state_dict().items()}
    args = argparse.Namespace(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5], interpolation="bicubic", crop_pct=0.9, lr=0.1)
    report = load_checkpoint(model, {"arch": "hrnet_w18", "state_dict": official, "args": args})
    assert report.ok and len(report.differences) == 4
    for name in ("mean", "std", "crop", "interpolation"):
        assert f"(model.view.{name})" in str(report)
