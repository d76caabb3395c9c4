"""timm's feature extractors behind the backbone interface."""

import pytest
import torch

from hrtoolkit.backbones import TimmBackbone


def test_resnet_gives_maps_from_stride_four_on():
    net = TimmBackbone("resnet18")
    maps = net(torch.rand(1, 3, 64, 96))
    assert net.out_strides == (4, 8, 16, 32)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (c, 64 // s, 96 // s) for c, s in zip(net.out_channels, net.out_strides, strict=True)
    ]


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(ValueError, match=r"no model 'resnet19'; near names: .*resnet"):
        TimmBackbone("resnet19")
