"""HRNetV2p-W18 against the official backbone and neck, through the public loader.

Weights and input are functions of their names; the outputs were computed with the official implementation.
"""

import pytest
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.backbones.hrnet import HRNet
from tests.conftest import REPOSITORY
from tests.test_official_outputs import assert_official, named_generator, named_value

LEVELS = [  # shape, mean, deviation, a few values by their position
    (
        (256, 64, 80),
        -0.045936175,
        0.793863118,
        {0: 1.0123167, 270465: 0.6317305, 603346: 0.6328685, 915422: 0.7560312, 1310719: 0.7417748},
    ),
    (
        (256, 32, 40),
        -0.035888683,
        0.78379792,
        {0: 0.9130847, 67616: -0.3604471, 150836: 0.3272771, 228855: 0.2790229, 327679: -0.1071429},
    ),
    (
        (256, 16, 20),
        0.011531388,
        0.722678363,
        {0: 0.3326871, 16903: 0.29042, 37708: 0.1234885, 57213: -0.3080067, 81919: 0.0391988},
    ),
    (
        (256, 8, 10),
        0.037106089,
        0.710645735,
        {0: 0.242473, 4225: 0.7725729, 9426: 0.0357299, 14302: -0.030704, 20479: 0.9572354},
    ),
    (
        (256, 4, 5),
        -0.055088092,
        0.672665954,
        {0: -0.4134279, 1056: 0.0971099, 2356: -0.2198183, 3575: -0.6295539, 5119: 0.2437864},
    ),
]


@pytest.mark.parametrize(
    ("size", "cell", "expected"),
    [
        (64, "center", (8006.440269, 7705.133717, 5426.265521, 2557.745790)),
        (64, "mean", (4331.839478, 4133.372396, 2910.206071, 1392.267263)),
        (256, "center", (25179.217389, 25172.236811, 21443.506720, 15647.415696)),
        (256, "corner", (1383.710772, 1348.129198, 1296.245362, 1234.658074)),
    ],
)
def test_maps_of_even_weights_are_those_of_the_official_trunk(size, cell, expected):
    """All channels of a map are equal, whatever the width: what is seen is which map meets which."""
    net = HRNet(width=4).double().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 0.5 / module.weight[0].numel())
    with torch.no_grad():
        maps = net(torch.ones(1, 3, size, size, dtype=torch.float64))
    read = {"center": lambda x: x[len(x) // 2, len(x) // 2], "mean": torch.mean, "corner": lambda x: x[0, 0]}[cell]
    for x, value, stride in zip(maps, expected, (4, 8, 16, 32), strict=True):
        assert x.shape[-2:] == (size // stride, size // stride)
        assert read(x[0, 0]).item() == pytest.approx(value, abs=1e-6)
        torch.testing.assert_close(x, x[:, :1].expand_as(x))


def test_w18_gives_the_official_pyramid(tmp_path):
    model = build_model(REPOSITORY / "configs/detection/faster_rcnn_hrnetv2p_w18_coco.py").eval()
    names = [name for name in model.state_dict() if name.startswith(("backbone.", "neck."))]
    assert len(names) == 1830 + 12
    torch.save({name: named_value(name, model.state_dict()[name]) for name in names}, tmp_path / "official.pth")
    report = load_checkpoint(model, tmp_path / "official.pth")
    assert report.loaded == names and not report.unexpected and not report.mis_shaped
    assert all(name.startswith("head.") for name in report.missing)
    with torch.no_grad():
        maps = model(torch.randn(1, 3, 256, 320, generator=named_generator("det_hrnetv2p_w18")))
    for level, (shape, mean, deviation, values) in zip(maps, LEVELS, strict=True):
        assert level.shape[1:] == shape
        assert_official(level, mean, deviation, values)
