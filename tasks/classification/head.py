"""From the backbone's maps to one score a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.backbones.hrnet import Bottleneck
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Settings
from hrtoolkit.parts import BaseHead, Stacked
from hrtoolkit.ranges import Share
from hrtoolkit.records import Category
from hrtoolkit.registry import HEADS
from hrtoolkit.runtime.drawing import draw_text
from hrtoolkit.schemes import ClassScheme, SchemeLike, resolve_scheme


def label_targets(truth: Category, frame: Frame) -> dict[str, ndarray]:
    """What classification heads compare with: `label`, int64."""
    return {"label": np.array(truth.label, dtype=np.int64)}


@HEADS.register_module()
class PooledHead(BaseHead[Stacked]):
    """A linear layer on the average of the coarsest map: for any backbone and neck.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        scheme: names of the classes in the order of the outputs, or their number where nobody knows names; None takes
            them from the training data.
        label_smoothing: share of every target that is spread evenly over all classes (arXiv:1512.00567).
        dropout: share of the pooled vector that is dropped in training.

    Raises:
        OptionError: the classes are not known, or there is only one.
    """

    moved = MappingProxyType({"num_classes": "model.head.scheme", "class_names": "model.head.scheme"})
    targets = staticmethod(label_targets)
    output_layers = MappingProxyType({"classifier": 1})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        label_smoothing: Share = 0.0,
        dropout: Share = 0.0,
    ):
        super().__init__()
        self.scheme = resolve_scheme(scheme, ClassScheme)
        self.scheme.check_choice()
        self.label_smoothing = label_smoothing
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(in_channels[-1], len(self.scheme.names))

    def extract(self, maps: list[Tensor]) -> Tensor:
        """The feature vector [B, F] of each image."""
        return maps[-1].mean((2, 3))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits [B, C]."""
        return self.classifier(self.dropout(self.extract(maps)))

    def loss(self, maps: list[Tensor], targets: dict[str, Tensor], frames: Frame) -> dict[str, Tensor]:
        """Compare with the `label` [B] of each image.

        Args:
            maps: of B images.
            targets: `label`, and where images were mixed also `mixing` [B, B]: the share of each label in each image.
            frames: not used.
        """
        logits, labels = self(maps).float(), targets["label"]
        if "mixing" in targets:
            # Not by a matrix product, which mixed precision would round.
            shares = torch.zeros_like(logits).index_add(1, labels, targets["mixing"])  # [B, C]
            return {"loss_class": F.cross_entropy(logits, shares, label_smoothing=self.label_smoothing)}
        return {
            "loss_class": F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing),
            "accuracy": (logits.detach().argmax(1) == labels).float().mean(),
        }

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[Category]:
        """The class of the highest score, and all scores, which sum to 1."""
        scores = self.decode(maps, flipped)["scores"]
        return self.read({"scores": scores.cpu().numpy()}, frames)

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`logits` and `scores`, which sum to 1, [B, C]."""
        logits = self(maps).float()
        if flipped is not None:
            logits = (logits + self(flipped).float()) / 2
        return {"logits": logits, "scores": logits.softmax(1)}

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> list[Category]:
        return [Category(int(one.argmax()), one) for one in outputs["scores"]]

    def reading(self) -> Settings:
        return {"kind": "category"}

    def draw_targets(self, images: Tensor, targets: Stacked, frames: Frame) -> list[ndarray]:
        """Write the class of each image across it."""
        pictures, labels = super().draw_targets(images, targets, frames), targets["label"].tolist()
        return [draw_text(one, self.scheme.names[label]) for one, label in zip(pictures, labels, strict=True)]


@HEADS.register_module()
class ClassificationHead(PooledHead):
    """HRNet-C: widen each resolution, step down from the finest, summing, and pool 2048 channels (arXiv:1908.07919).

    Layers carry the official names, which timm shares, so that their weights load without renaming.

    Args:
        in_channels: channels of the four maps received, finest first.
        in_strides: their strides, 4 to 32.
        scheme: see `PooledHead`.
        label_smoothing: share of every target that is spread evenly over all classes.
        dropout: share of the pooled vector that is dropped in training; the originals have none.
        conv_bias: of the convolutions between the resolutions and the last one: the official and timm weights have it,
            timm's `*_ssld` ones do not.

    Raises:
        OptionError: there are not four maps, or the classes are not known.
    """

    PLANES = (32, 64, 128, 256)
    FEATURES = 2048

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        label_smoothing: Share = 0.0,
        dropout: Share = 0.0,
        conv_bias: bool = True,
    ):
        super().__init__([self.FEATURES], in_strides, scheme=scheme, label_smoothing=label_smoothing, dropout=dropout)
        if tuple(in_strides) != (4, 8, 16, 32):
            raise OptionError(
                f"ClassificationHead needs maps of strides 4, 8, 16 and 32, got {tuple(in_strides)}; use an HRNet with "
                "num_outputs=4 and no neck, or PooledHead"
            )
        widths = [planes * Bottleneck.expansion for planes in self.PLANES]

        def conv(source: int, target: int, kernel: int, stride: int) -> nn.Sequential:
            layer = nn.Conv2d(source, target, kernel, stride, padding=kernel // 2, bias=conv_bias)
            return nn.Sequential(layer, nn.BatchNorm2d(target), nn.ReLU(inplace=True))

        self.incre_modules = nn.ModuleList(
            nn.Sequential(Bottleneck(c, planes)) for c, planes in zip(in_channels, self.PLANES, strict=True)
        )
        self.downsamp_modules = nn.ModuleList(conv(widths[i], widths[i + 1], 3, 2) for i in range(3))
        self.final_layer = conv(widths[-1], self.FEATURES, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def adapt(self, tensors: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], list[str]]:
        """Convolutions may lack the bias, as OpenMMLab's do: it becomes 0. One too many goes into the normalisation."""
        tensors = dict(tensors)
        for layer in ("downsamp_modules.0", "downsamp_modules.1", "downsamp_modules.2", "final_layer"):
            bias, mean = f"{layer}.0.bias", f"{layer}.1.running_mean"
            if mean not in tensors:
                continue
            if self.final_layer[0].bias is not None:
                tensors.setdefault(bias, torch.zeros_like(tensors[mean]))
            elif bias in tensors:
                tensors[mean] = tensors[mean] - tensors.pop(bias)
        return tensors, []

    def extract(self, maps: list[Tensor]) -> Tensor:
        total = self.incre_modules[0](maps[0])
        for level, step_down in enumerate(self.downsamp_modules, start=1):
            total = self.incre_modules[level](maps[level]) + step_down(total)
        return self.final_layer(total).mean((2, 3))
