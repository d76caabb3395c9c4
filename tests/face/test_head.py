"""The V2 head: official names and numbers, files of every publisher, and the order of convolving and enlarging."""

import math
import zlib

import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model, checkpoints, load_checkpoint
from hrtoolkit.frames import Warp
from hrtoolkit.necks import Concat
from hrtoolkit.tasks.face.head import FaceHead

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)


def make_model(scheme="300w", neck=None, **backbone):
    backbone = backbone or dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01)
    return build_model(
        Config(
            dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.face"]),
                model=dict(backbone=backbone, neck=neck, head=dict(type="FaceHead", scheme=scheme)),
            )
        )
    ).eval()


def official_names(model):
    return {name.removeprefix("backbone."): tensor for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(("scheme", "count"), [("aflw", 19), ("cofw", 29), ("300w", 68), ("wflw", 98)])
def test_the_four_official_networks_load_strictly_by_name(scheme, count):
    with torch.device("meta"):
        model = make_model(scheme)
    names = official_names(model)
    assert len(names) == 1839
    assert sum(p.numel() for p in model.parameters()) == 9_635_970 + 271 * count
    head = {name: tuple(tensor.shape) for name, tensor in names.items() if name.startswith("head.")}
    assert head == {
        "head.0.weight": (270, 270, 1, 1),
        "head.0.bias": (270,),
        **{f"head.1.{name}": (270,) for name in ("weight", "bias", "running_mean", "running_var")},
        "head.1.num_batches_tracked": (),
        "head.3.weight": (count, 270, 1, 1),
        "head.3.bias": (count,),
    }
    # HR18-300W.pth was saved from DataParallel.
    report = load_checkpoint(model, {f"module.{name}": tensor for name, tensor in names.items()})
    assert report.ok and report.kind == "official face", report.details()


def as_openmmlab(prefix, layers):
    def rename(name):
        if name.startswith("backbone."):
            return name
        _, layer, rest = name.split(".", 2)
        return f"{prefix}.{layers[layer]}.{rest}"

    return rename


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        lambda name: name.removeprefix("backbone."),
        as_openmmlab("keypoint_head", {i: f"final_layer.{i}" for i in "013"}),
        as_openmmlab("head", {"0": "conv_layers.0", "1": "conv_layers.1", "3": "final_layer"}),
    ],
    ids=["ours", "official", "OpenMMLab 0.x", "OpenMMLab 1.x"],
)
def test_files_of_every_publisher_load_completely(rename, monkeypatch):
    import hrtoolkit.tasks.pose  # noqa: F401 (whose formats must not claim these, whichever is asked first)

    torch.manual_seed(0)
    source, model = make_model(**TINY), make_model(**TINY)
    report = load_checkpoint(model, {rename(name): tensor for name, tensor in source.state_dict().items()})
    assert report.ok, report.details()
    assert all(
        torch.equal(a, b) for a, b in zip(source.state_dict().values(), model.state_dict().values(), strict=True)
    )
    monkeypatch.setattr("hrtoolkit.checkpoints.FORMATS", checkpoints.FORMATS[::-1])
    again = load_checkpoint(model, {rename(name): tensor for name, tensor in source.state_dict().items()})
    assert again.ok and again.kind == report.kind


def test_the_official_heatmaps_of_a_network_filled_by_formula():
    """Weights and input are functions of names and indices; the sums were computed with the official code, float64."""
    model = make_model()
    values = {}
    for name, tensor in official_names(model).items():
        if tensor.ndim == 4:
            i = torch.arange(tensor.numel(), dtype=torch.float64)
            phase = zlib.crc32(name.encode()) % 1000
            value = (torch.cos(0.1 * i + phase) / math.sqrt(tensor[0].numel())).float().view(tensor.shape)
        elif name.startswith(("head.0", "head.3")):
            value = torch.full_like(tensor, 0.01)
        elif name.endswith("num_batches_tracked"):
            value = tensor
        else:
            kinds = {"weight": 0.35, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
            value = torch.full_like(tensor, kinds[name.rsplit(".", 1)[1]])
        values[name] = value
    assert load_checkpoint(model, values).ok
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    image = torch.stack([torch.sin(0.05 * x + 0.03 * y + c) for c in range(3)])[None]
    with torch.no_grad():
        heatmaps = model(image)
    assert heatmaps.shape == (1, 68, 64, 64)
    # The original's own float32 run is right to about 1e-6 of the largest value.
    close = dict(abs=2e-6)
    assert heatmaps[0, 0, 0, 0].item() == pytest.approx(0.0058607007008229, **close)
    assert heatmaps[0, 10, 32, 32].item() == pytest.approx(-0.0112586074146627, **close)
    assert heatmaps[0, 67, 63, 63].item() == pytest.approx(0.0223953471868203, **close)
    assert heatmaps.double().sum().item() == pytest.approx(2758.29676266340, rel=1e-5)
    assert heatmaps.abs().mean().item() == pytest.approx(0.043421, abs=1e-6)
    assert heatmaps.std().item() == pytest.approx(0.051816, abs=1e-6)
    assert heatmaps.argmax().item() == 39679
    assert heatmaps.max().item() == pytest.approx(0.16335, abs=1e-5)


@pytest.mark.parametrize("size_hw", [(64, 64), (50, 70)])
def test_convolving_before_enlarging_is_convolving_the_joined_maps(size_hw):
    torch.manual_seed(0)
    channels, strides = (4, 8, 16, 32), (4, 8, 16, 32)
    head = FaceHead(channels, strides, scheme="300w").eval()
    for tensor in head.parameters():
        torch.nn.init.normal_(tensor)
    sizes = [tuple(math.ceil(side / 2**level) for side in size_hw) for level in range(4)]
    maps = [torch.randn(2, c, *size) for c, size in zip(channels, sizes, strict=True)]
    joined = FaceHead((60,), (4,), scheme="300w").eval()
    joined.load_state_dict(head.state_dict())
    with torch.no_grad():
        expected = joined(Concat(channels, strides)(maps))
        difference = (head(maps) - expected).abs().max()
    assert expected.shape == (2, 68, *size_hw)
    assert difference < 1e-5 * expected.std()


def test_integer_points_are_cut_and_one_is_added():
    head = FaceHead((4,), (4,), scheme="aflw", integer_points=True)
    points = np.array([[[3.9, -0.5], [2.0, 7.25]]])
    frames = Warp.stack([Warp((9, 9), (9, 9), False, np.eye(2, 3))])
    np.testing.assert_array_equal(head.to_image(points, frames), [[[4, 1], [3, 8]]])
    assert head.describe()["integer_points"]
