"""HRNet: four resolutions side by side, exchanged repeatedly.

Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", TPAMI 2020, arXiv:1908.07919.
Modules carry the names of the official releases (`stage3.0.fuse_layers.0.2.0.weight`), which timm shares, so that
their weights load without renaming.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hrtoolkit.errors import OptionError
from hrtoolkit.norms import RecallView
from hrtoolkit.parts import BaseBackbone
from hrtoolkit.ranges import Count, Share
from hrtoolkit.registry import BACKBONES

Maps = TypeVar("Maps", Tensor, list[Tensor])


@dataclass(frozen=True)
class HRNetSpec:
    """Size of one HRNet; every channel count follows from these numbers, which are the arguments of `HRNet`."""

    width: int = 32  # channels of the stride-4 branch; each coarser branch has twice as many
    modules: tuple[int, int, int] = (1, 4, 3)  # exchange modules in stages 2, 3, 4
    blocks: int = 4  # residual blocks per branch and module
    layer1_blocks: int = 4  # bottleneck blocks before the resolutions split
    layer1_planes: int = 64  # inner channels of those blocks; they give four times as many
    stem_width: int = 64  # channels of the two convolutions of stride 2 before them

    @property
    def branch_channels(self) -> tuple[int, int, int, int]:
        return (self.width, self.width * 2, self.width * 4, self.width * 8)


VARIANTS = MappingProxyType(
    {
        # "v1" has width 16 whatever its published name says.
        "w18_small_v1": HRNetSpec(width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32),
        "w18_small_v2": HRNetSpec(width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2),
        **{f"w{width}": HRNetSpec(width=width) for width in (18, 30, 32, 40, 44, 48, 64)},
    }
)


@BACKBONES.register_module()
class HRNet(BaseBackbone):
    """Keep a stride-4 map from start to end and exchange it with coarser ones (arXiv:1908.07919).

    `HRNet(width=32)` is W32; `VARIANTS` names the numbers of all nine published sizes. What the originals differ in
    are named arguments, because weights trained one way give other results the other way.

    Convention: any input size works; a stride-2 convolution gives ceil(size / 2), and finer maps decide the size to
    which coarser ones are upsampled.

    Args:
        width: channels of the stride-4 branch.
        modules: exchange modules in stages 2, 3 and 4.
        blocks: residual blocks per branch and module.
        layer1_blocks: bottleneck blocks of the first stage.
        layer1_planes: inner channels of those blocks.
        stem_width: channels of the two convolutions before them, 64 in all published networks.
        num_outputs: maps that the last module keeps: 4 (V2: strides 4, 8, 16, 32) or 1 (V1, as in the pose releases,
            whose last module lacks the layers towards the coarser maps).
        fuse_upsample: how coarser maps are enlarged: "nearest" in the pose, classification and detection releases,
            "bilinear" in face and segmentation.
        align_corners: of bilinear enlarging; true in the official OCR segmentation weights.
        bn_momentum: 0.01 in the face and segmentation releases, 0.1 elsewhere.
        init: "normal" (deviation 0.001, the pose, face and segmentation releases) or "kaiming" (classification).
        checkpoint_activations: in training keep only what enters each exchange module and recompute what is inside it
            for the gradient: less memory, about a third more time.
    """

    def __init__(
        self,
        width: Count = 32,
        modules: tuple[Count, Count, Count] = (1, 4, 3),
        blocks: Count = 4,
        layer1_blocks: Count = 4,
        layer1_planes: Count = 64,
        stem_width: Count = 64,
        num_outputs: Literal[1, 4] = 4,
        fuse_upsample: Literal["nearest", "bilinear"] = "nearest",
        align_corners: bool = False,
        bn_momentum: Share = 0.1,
        init: Literal["normal", "kaiming"] = "normal",
        checkpoint_activations: bool = False,
    ):
        super().__init__()
        if num_outputs not in (1, 4):
            raise OptionError(f"HRNet: num_outputs must be 1 (V1) or 4 (V2), got {num_outputs}")
        if fuse_upsample not in ("nearest", "bilinear"):
            raise OptionError(f"HRNet: fuse_upsample must be 'nearest' or 'bilinear', got {fuse_upsample!r}")
        if init not in ("normal", "kaiming"):
            raise OptionError(f"HRNet: init must be 'normal' or 'kaiming', got {init!r}")
        second, third, fourth = modules
        self.spec = HRNetSpec(width, (second, third, fourth), blocks, layer1_blocks, layer1_planes, stem_width)
        channels = self.spec.branch_channels
        upsample = Upsample(fuse_upsample, align_corners)

        self.conv1 = nn.Conv2d(3, stem_width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_width)
        self.conv2 = nn.Conv2d(stem_width, stem_width, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem_width)
        self.relu = nn.ReLU(inplace=True)
        layer1_channels = layer1_planes * Bottleneck.expansion
        self.layer1 = nn.Sequential(
            *(Bottleneck(stem_width if n == 0 else layer1_channels, layer1_planes) for n in range(layer1_blocks))
        )
        self.transition1 = nn.ModuleList(
            [
                conv_bn(layer1_channels, channels[0], relu=True),
                nn.Sequential(conv_bn(layer1_channels, channels[1], stride=2, relu=True)),
            ]
        )
        self.stage2 = _stage(channels[:2], self.spec.modules[0], blocks, upsample)
        self.transition2 = _new_branch(channels[:3])
        self.stage3 = _stage(channels[:3], self.spec.modules[1], blocks, upsample)
        self.transition3 = _new_branch(channels)
        self.stage4 = _stage(channels, self.spec.modules[2], blocks, upsample, num_outputs)

        self.fuse_upsample, self.align_corners = fuse_upsample, upsample.align_corners
        self.checkpoint_activations = checkpoint_activations
        self.out_channels = channels[:num_outputs]
        self.out_strides = (4, 8, 16, 32)[:num_outputs]
        # What a network of one output lacks (names begin so): either can start the other all the same.
        last = len(self.stage4) - 1
        self.optional_parts = tuple(f"stage4.{last}.fuse_layers.{output}." for output in range(1, len(channels)))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = bn_momentum
            elif isinstance(module, nn.Conv2d) and init == "normal":
                nn.init.normal_(module.weight, std=0.001)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Extract the maps of `out_channels` at `out_strides`, finest first.

        Args:
            images: [B, 3, H, W], normalised.
        """
        stem = self.relu(self.bn1(self.conv1(images)))
        stem = self.relu(self.bn2(self.conv2(stem)))
        stem = self._run(self.layer1, stem)
        maps = self._run(self.stage2, [transition(stem) for transition in self.transition1])
        maps = self._run(self.stage3, [*maps, self.transition2[-1](maps[-1])])
        return self._run(self.stage4, [*maps, self.transition3[-1](maps[-1])])

    def describe(self) -> dict:
        """What the maps of these weights depend on, in plain values; it is kept in every checkpoint."""
        return {"fuse_upsample": self.fuse_upsample, "align_corners": self.align_corners}

    def _run(self, blocks: nn.Sequential, x: Maps) -> Maps:
        for block in blocks:
            x = _checkpointed(block, x) if self.checkpoint_activations and self.training else block(x)
        return x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity (He et al., CVPR 2016, arXiv:1512.03385)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + x)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 around an identity, or around a 1x1 projection where the channels change (arXiv:1512.03385)."""

    expansion = 4

    def __init__(self, in_channels: int, planes: int):
        super().__init__()
        out_channels = planes * self.expansion
        self.conv1 = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = conv_bn(in_channels, out_channels, kernel=1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))


class ExchangeModule(nn.Module):
    """Residual blocks on every resolution, then every resolution sums what all of them send it.

    Towards a finer map: 1x1 convolution, normalisation, upsampling. Towards a coarser one: a chain of stride-2
    convolutions, the last of them without ReLU. With `nest_sums` (set by `hrtoolkit.speed.fold`), what comes from
    coarser maps is summed on its way up where that is the same sum.
    """

    def __init__(self, channels: tuple[int, ...], blocks: int, num_outputs: int, upsample: Upsample):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(c) for _ in range(blocks))) for c in channels)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(channels, source, target) for source in range(len(channels)))
            for target in range(num_outputs)
        )
        self.upsample = upsample
        self.relu = nn.ReLU(inplace=True)
        self.nest_sums = False

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        nested = self.nest_sums and self._can_nest(maps)
        fused = []
        for target, layers in enumerate(self.fuse_layers):
            assert isinstance(layers, nn.ModuleList)
            sent = [layer(x) for layer, x in zip(layers, maps, strict=True)]
            if nested:
                while len(sent) > target + 1:
                    coarsest = sent.pop()
                    sent[-1] = sent[-1] + self.upsample(coarsest, maps[len(sent) - 1].shape[-2:])
            # Summed from the finest source upward, as the originals do: float sums depend on the order.
            total = None
            for source, y in enumerate(sent):
                if source > target:
                    y = self.upsample(y, maps[target].shape[-2:])
                total = y if total is None else total + y
            fused.append(self.relu(total))
        return fused

    def _can_nest(self, maps: list[Tensor]) -> bool:
        """Whether enlarging step by step is enlarging at once: nearest, and each map twice as large as the next."""
        sizes = [tuple(x.shape[-2:]) for x in maps]
        return self.upsample.mode == "nearest" and all(
            fine == (2 * coarse[0], 2 * coarse[1]) for fine, coarse in pairwise(sizes)
        )


class Upsample(nn.Module):
    """Enlarge a map to the exact size of another one; shared by all modules, owns no tensors."""

    def __init__(self, mode: Literal["nearest", "bilinear"], align_corners: bool):
        super().__init__()
        self.mode = mode
        self.align_corners = align_corners if mode == "bilinear" else None

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size=size_hw, mode=self.mode, align_corners=self.align_corners)


def conv_bn(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, relu: bool = False) -> nn.Sequential:
    """Convolution without bias, padded to keep the size, and normalisation, with or without ReLU."""
    layers = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def _stage(
    channels: tuple[int, ...], modules: int, blocks: int, upsample: Upsample, num_outputs: int | None = None
) -> nn.Sequential:
    every = len(channels)
    last = num_outputs or every
    return nn.Sequential(
        *(ExchangeModule(channels, blocks, last if m == modules - 1 else every, upsample) for m in range(modules))
    )


def _new_branch(channels: tuple[int, ...]) -> nn.ModuleList:
    """Identities for the branches that exist, and a stride-2 convolution that opens the last one from its neighbour."""
    existing = [nn.Identity() for _ in channels[:-1]]
    return nn.ModuleList([*existing, nn.Sequential(conv_bn(channels[-2], channels[-1], stride=2, relu=True))])


def _fuse_layer(channels: tuple[int, ...], source: int, target: int) -> nn.Module:
    if source == target:
        return nn.Identity()
    if source > target:
        return conv_bn(channels[source], channels[target], kernel=1)
    steps = target - source
    keep = [conv_bn(channels[source], channels[source], stride=2, relu=True) for _ in range(steps - 1)]
    return nn.Sequential(*keep, conv_bn(channels[source], channels[target], stride=2))


def _checkpointed(block: nn.Module, x: Maps) -> Maps:
    """Run a block, keeping only its input for the backward pass, which runs it again."""
    return checkpoint(
        block, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _again(block, RecallView(block)))
    )


@contextmanager
def _again(block: nn.Module, view: RecallView) -> Iterator[None]:
    """Run BatchNorms as they ran before, without a second update of their running statistics by the same batch."""
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        batches = norm.num_batches_tracked
        norm.momentum, norm.num_batches_tracked = 0.0, None if batches is None else batches.clone()
    try:
        with view:
            yield
    finally:
        for norm, (momentum, batches) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
