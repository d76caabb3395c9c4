"""The whole pose network against the official one, through the public loader.

Weights and input are functions of their names, so nothing needs downloading; the outputs were computed with the
official implementation of HRNet-W32 for COCO at 256x192.
"""

import zlib

import pytest
import torch

from hrtoolkit import build_model, load_checkpoint

from .conftest import REPOSITORY

MEAN, STD = -0.24528880417346954, 1.2684922218322754
VALUES = {
    0: -0.7880535125732422,
    6631: 0.52645343542099,
    13262: -1.5517414808273315,
    19894: 0.7857687473297119,
    26525: 0.7272624969482422,
    33157: 1.2482805252075195,
    39788: 1.3875577449798584,
    46420: -2.556140899658203,
}


def named_generator(name):
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def named_value(name, tensor):
    generator = named_generator(name)
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.long)
    if name.endswith("running_mean") or name.endswith("bias"):
        return torch.randn(tensor.shape, generator=generator) * 0.1
    if name.endswith("running_var"):
        return torch.rand(tensor.shape, generator=generator) + 0.5
    if tensor.ndim == 1:
        return torch.rand(tensor.shape, generator=generator) * 0.25 + 0.25
    return torch.randn(tensor.shape, generator=generator) * (1.0 / tensor[0].numel()) ** 0.5


def assert_official(output, mean, std, values):
    """Compare an output with the official one by its mean, its deviation and some of its values by flat index."""
    assert output.mean().item() == pytest.approx(mean, abs=1e-4 * std)
    assert output.std().item() == pytest.approx(std, rel=1e-4)
    for index, value in values.items():
        assert output.flatten()[index].item() == pytest.approx(value, abs=1e-4 * std)


def test_w32_gives_the_official_heatmaps(tmp_path):
    model = build_model(REPOSITORY / "configs/pose/hrnet_w32_coco.py").eval()
    names = {name.split(".", 1)[1]: tensor for name, tensor in model.state_dict().items()}
    torch.save({name: named_value(name, tensor) for name, tensor in names.items()}, tmp_path / "official.pth")
    report = load_checkpoint(model, tmp_path / "official.pth")
    assert report.ok and report.kind == "official pose"
    with torch.no_grad():
        heatmaps = model(torch.randn(1, 3, 256, 192, generator=named_generator("pose_w32_256x192")))
    assert heatmaps.shape == (1, 17, 64, 48)
    assert_official(heatmaps, MEAN, STD, VALUES)
