"""From feature maps to classes: the plain HRNetV2 head and the OCR head, with the official names of their tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from hrtoolkit.errors import DataError
from hrtoolkit.registry import MODELS
from tasks.segmentation.classes import IGNORED, SCHEMES, ClassSet, resolve_classes
from tasks.segmentation.loss import CrossEntropy
from tasks.segmentation.postprocess import best_labels, whole_image


class LabelHead(nn.Module):
    """What both heads share: reading label maps off logits, and what is known of the classes.

    A subclass gives `forward(maps)` and `logits(maps)`, of which the latter is the output that is tested.

    Args:
        in_strides: of each map received, finest first.
        classes: "cityscapes" ..., a ClassSet or its fields; None takes them from the training data.
        align_corners: of every bilinear enlarging, from the maps to the labels; the official OCR weights need it on.

    Raises:
        ValueError: no classes are given, or they are not known.
    """

    def __init__(self, in_strides: Sequence[int], classes: str | dict | ClassSet | None, align_corners: bool):
        super().__init__()
        self.stride = in_strides[0]
        self.classes = resolve_classes(classes)
        self.align_corners = align_corners
        self.flip_order = self.classes.flip_order()

    def flip_back(self, logits: Tensor) -> Tensor:
        """Turn the logits [B, C, h, w] of mirrored images into those of the images themselves."""
        return logits[:, self.flip_order].flip(-1)

    def predict(self, maps: list[Tensor], meta: list[dict], flipped: list[Tensor] | None = None) -> list[dict]:
        """Label each image as a whole.

        Args:
            maps: of B images.
            meta: one dict an image with its `size_hw` (original height and width) and `padding` (rows and columns at
                the bottom and the right of the input that are no part of it); the rest is handed on.
            flipped: maps of the mirrored images, to be averaged with.

        Returns:
            each dict of `meta` with `labels`, class indices uint8 [H, W] in the original size, on the device.
        """
        logits = self.logits(maps)
        if flipped is not None:
            logits = (logits + self.flip_back(self.logits(flipped))) / 2
        return [
            {**m, "labels": self.read_labels(whole_image(one, m["input_hw"]), m["input_hw"], m)}
            for one, m in zip(logits, meta, strict=True)
        ]

    def read_labels(self, scales: list, input_hw: tuple[int, int], meta: dict) -> Tensor:
        """Label one image from its scores, see `postprocess`; uint8 [H, W] in the original size."""
        return best_labels(scales, input_hw, meta["padding"], meta["size_hw"], self.align_corners)

    def enlarge(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Bring logits [B, C, h, w] to the size of labels [B, H, W]."""
        return F.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=self.align_corners)

    def pixel_accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Share of right pixels on the logits' own grid, every fourth pixel say; a number for the log."""
        labels = labels[:, :: self.stride, :: self.stride]
        valid = labels != IGNORED
        return ((logits.detach().argmax(1) == labels) & valid).sum() / valid.sum().clamp(min=1)

    def check_data(self, classes: str | dict | ClassSet) -> None:
        """Refuse data whose classes are not this head's.

        Raises:
            DataError: other names, or another number of them.
        """
        ours, theirs = self.classes.names, resolve_classes(classes).names
        if ours != theirs:
            raise DataError(
                f"the data has {len(theirs)} classes ({_shorten(theirs)}), the head has {len(ours)} "
                f"({_shorten(ours)}); set model.head.classes=None to take them from the data"
            )

    @property
    def output_names(self) -> tuple[str, ...]:
        """What each output channel stands for: a checkpoint of other classes lends the channels of equal name."""
        return self.classes.names

    @staticmethod
    def published_names(outputs: int) -> tuple[str, ...] | None:
        """Class names of an official file that does not tell, by their number."""
        return {len(scheme.names): scheme.names for scheme in SCHEMES.values()}.get(outputs)

    def describe(self) -> dict:
        """What predictions of these weights depend on, in plain values; it is kept in every checkpoint."""
        mirrored = [list(pair) for pair in self.classes.mirrored]
        return {
            "classes": {"names": list(self.classes.names), "mirrored": mirrored},
            "align_corners": self.align_corners,
        }


@MODELS.register_module()
class SegmentationHead(LabelHead):
    """Two 1x1 convolutions on the joined maps (arXiv:1908.07919, Sec. 3.2).

    Behind the neck `Concat` it computes what the official code does, in its order. Without a neck it convolves every
    map at its own resolution, enlarges the results and adds them: a 1x1 convolution and bilinear enlarging commute,
    so the logits are the same, for an eighth of the first convolution's work and no joined map in memory.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        classes: "cityscapes" ..., a ClassSet or its fields; None takes them from the training data.
        align_corners: of every bilinear enlarging, from the maps to the labels.
        bn_momentum: 0.01 in the master and pytorch-v1.1 branches of the official code, 0.1 in HRNet-OCR.
        loss: `forward(logits, labels)`; mean cross-entropy by default.

    Raises:
        ValueError: no classes are given, they are not known, or the loss has weights for another number of them.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        classes: str | dict | ClassSet | None = None,
        align_corners: bool = False,
        bn_momentum: float = 0.01,
        loss: nn.Module | None = None,
    ):
        super().__init__(in_strides, classes, align_corners)
        channels = sum(in_channels)
        self.last_layer = _two_convolutions(channels, len(self.classes.names))
        self.criterion = loss or CrossEntropy()
        _check_weights(self.criterion, self.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = bn_momentum

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits [B, C, H, W] at the stride of the finest map."""
        first, norm, relu, last = self.last_layer
        return last(relu(norm(convolve_joined(first, maps, self.align_corners))))

    logits = forward

    def loss(self, maps: list[Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compare with `label` [B, H, W], class indices in input pixels."""
        logits, labels = self(maps), targets["label"]
        return {
            "loss_seg": self.criterion(self.enlarge(logits, labels), labels),
            "accuracy": self.pixel_accuracy(logits, labels),
        }


def convolve_joined(conv: nn.Conv2d, maps: list[Tensor], align_corners: bool) -> Tensor:
    """A 1x1 convolution of maps that are enlarged to the finest one and joined, without joining them.

    Args:
        conv: of as many channels as the maps have together.
        maps: [B, C_i, h_i, w_i], finest first.
        align_corners: of the bilinear enlarging.

    Returns:
        [B, C, h_0, w_0].
    """
    weights = conv.weight.split([x.shape[1] for x in maps], dim=1)
    total = F.conv2d(maps[0], weights[0], conv.bias)
    for x, weight in zip(maps[1:], weights[1:], strict=True):
        size_hw = total.shape[-2:]
        total += F.interpolate(F.conv2d(x, weight), size=size_hw, mode="bilinear", align_corners=align_corners)
    return total


def _two_convolutions(channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, classes, 1)
    )  # fmt: skip


def _check_weights(criterion: nn.Module, classes: ClassSet) -> None:
    weights = getattr(criterion, "class_weights", None)
    if weights is not None and len(weights) != len(classes.names):
        raise ValueError(f"{type(criterion).__name__}: {len(weights)} class_weights for {len(classes.names)} classes")


def _shorten(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
