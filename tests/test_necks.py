"""Each neck with each backbone, and the official pyramid's numbers."""

import pytest
import torch

from hrtoolkit.backbones import HRNet, TimmBackbone
from hrtoolkit.necks import Concat, HighestResolution, Pyramid

BACKBONES = {
    "hrnet v1": lambda: HRNet(width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, num_outputs=1),
    "hrnet v2": lambda: HRNet(width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8),
    "timm resnet": lambda: TimmBackbone("resnet18"),
    "timm hrnet": lambda: TimmBackbone("hrnet_w18_small", feature_location=""),
}


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("neck_type", [HighestResolution, Concat, Pyramid])
def test_each_neck_works_with_each_backbone(backbone, neck_type):
    net = BACKBONES[backbone]().eval()
    neck = neck_type(net.out_channels, net.out_strides)
    with torch.no_grad():
        maps = neck(net(torch.rand(1, 3, 64, 96)))
    assert [tuple(x.shape) for x in maps] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(neck.out_channels, neck.out_strides, strict=True)
    ]


def test_pyramid_equals_the_official_neck():
    neck = Pyramid((2, 4, 8, 16), (4, 8, 16, 32), channels=3).double()
    torch.nn.init.constant_(neck.reduction_conv[0].weight, 1 / 30)
    torch.nn.init.constant_(neck.reduction_conv[0].bias, 0.25)
    for level, conv in enumerate(neck.fpn_conv):
        torch.nn.init.constant_(conv.weight, 1 / 27)
        torch.nn.init.constant_(conv.bias, 0.1 * level)
    maps = []
    for i, (channels, size) in enumerate(zip((2, 4, 8, 16), (64, 32, 16, 8), strict=True)):
        c, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (channels, size, size)), indexing="ij")
        maps.append(((i + 1) + 0.1 * c + 0.01 * y + 0.001 * x)[None])
    expected = [  # size, [0, 0], [1, 2], last corner, mean
        (64, 1.792837, 4.034833, 1.870896, 4.036278),
        (32, 1.893611, 4.138356, 1.970122, 4.051751),
        (16, 1.995791, 4.247083, 2.067943, 3.985381),
        (8, 2.100792, 4.365458, 2.162942, 3.763373),
        (4, 2.211114, 4.502631, 2.252619, 3.262292),
    ]
    for level, (size, first, inner, last, mean) in zip(neck(maps), expected, strict=True):
        assert level.shape == (1, 3, size, size)
        values = [level[0, 0, 0, 0], level[0, 0, 1, 2], level[0, 0, -1, -1], level.mean()]
        torch.testing.assert_close(
            torch.stack(values), torch.tensor([first, inner, last, mean]).double(), atol=1e-6, rtol=0
        )


def test_pyramid_says_when_an_image_is_too_small():
    with pytest.raises(ValueError, match="5 levels need a finest map of at least 16 rows and columns"):
        Pyramid((4,), (4,))([torch.rand(1, 4, 8, 20)])
