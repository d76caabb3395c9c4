"""From feature maps to classes: the plain HRNetV2 head and the OCR head, with the official names of their tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Settings, Warp
from hrtoolkit.maps import covered_hw, stack_padded
from hrtoolkit.necks import convolve_twice, two_convolutions
from hrtoolkit.parts import BaseHead, BatchTargets
from hrtoolkit.ranges import Count, NotNegative, Share
from hrtoolkit.records import LabelMap
from hrtoolkit.registry import HEADS
from hrtoolkit.runtime.drawing import draw
from hrtoolkit.schemes import IGNORED, ClassScheme, SchemeLike, resolve_scheme
from hrtoolkit.tasks.segmentation.loss import CrossEntropy
from hrtoolkit.tasks.segmentation.postprocess import ScaleScores, best_labels, whole_image


def label_targets(truth: LabelMap, frame: Frame) -> dict[str, ndarray]:
    """What both heads compare with: `label`, uint8 [h, w]."""
    return {"label": truth.label_map}


def join_labels(targets: BatchTargets, size_hw: Sequence[int]) -> Tensor:
    """The label maps of a batch, uint8 [B, H, W], IGNORED where a batch of several sizes is padded."""
    if isinstance(targets, dict):
        return targets["label"]
    return stack_padded([one["label"] for one in targets], size_hw, IGNORED)


class LabelHead(BaseHead[BatchTargets]):
    """What both heads share: reading label maps off logits, and what is known of the classes.

    A subclass gives `forward(maps)` and `logits(maps)`, of which the latter is the output that is tested.

    Args:
        in_strides: of each map received, finest first.
        scheme: "cityscapes" ..., or the fields of a ClassScheme; None takes them from the training data.
        align_corners: of every bilinear enlarging, from the maps to the labels; the official OCR weights need it on.

    Raises:
        OptionError: no classes are given or one alone, they are not known, or label maps cannot hold them.
    """

    moved = MappingProxyType({"classes": "model.head.scheme"})
    targets = staticmethod(label_targets)

    def __init__(self, in_strides: Sequence[int], scheme: SchemeLike | None, align_corners: bool):
        super().__init__()
        self.stride = in_strides[0]
        self.scheme = resolve_scheme(scheme, ClassScheme)
        self.scheme.check_choice()
        self.scheme.check_label_map()
        self.align_corners = align_corners
        self.flip_order = self.scheme.flip_order()

    def logits(self, maps: list[Tensor]) -> Tensor:
        """The output that is tested, [B, C, h, w]."""
        raise NotImplementedError

    def flip_back(self, logits: Tensor) -> Tensor:
        """Turn the logits [B, C, h, w] of mirrored images into those of the images themselves."""
        return logits[:, self.flip_order].flip(-1)

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[LabelMap]:
        return self._read_whole(self.decode(maps, flipped)["logits"], frames)

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`logits` [B, C, h, w] at the stride of the finest map."""
        logits = self.logits(maps)
        if flipped is not None:
            logits = (logits + self.flip_back(self.logits(flipped))) / 2
        return {"logits": logits}

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> list[LabelMap]:
        return self._read_whole(torch.from_numpy(outputs["logits"]), frames)

    def reading(self) -> Settings:
        return {"kind": "label_map", "align_corners": self.align_corners}

    def _read_whole(self, logits: Tensor, frames: Frame) -> list[LabelMap]:
        """Label images that the network saw as they are, or at the upper left of what a batch was padded to."""
        scores = []
        for one, (height, width) in zip(logits, np.asarray(frames.input_hw).tolist(), strict=True):
            scores.append(whole_image(one, (height, width), covered_hw(one.shape[1:], (height, width), self.stride)))
        return self.read_labels(scores, frames)

    def read_labels(self, scores: list[list[ScaleScores]], frames: Frame) -> list[LabelMap]:
        """Label images as a whole.

        Args:
            scores: of each image, at all its scales.
            frames: of the inputs that the scales were made from.
        """
        labels = []
        for index, scales in enumerate(scores):
            frame = frames[index]
            input_hw, content_hw, image_hw = ((h, w) for h, w in (frame.input_hw, frame.content_hw, frame.image_hw))
            matrix = frame.matrix if isinstance(frame, Warp) else None
            labels.append(best_labels(scales, input_hw, content_hw, image_hw, self.align_corners, matrix))
        if len({one.shape for one in labels}) == 1 and labels[0].device.type != "cpu":
            labels = list(torch.stack(labels).cpu())  # one copy waits for the device once
        return [LabelMap(one.cpu().numpy()) for one in labels]

    def enlarge(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Bring logits [B, C, h, w] to the size of labels [B, H, W]."""
        return F.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=self.align_corners)

    def labels(self, maps: list[Tensor], targets: BatchTargets) -> Tensor:
        """The label maps that maps are compared with, uint8 [B, H, W]."""
        return join_labels(targets, [side * self.stride for side in maps[0].shape[-2:]])

    def pixel_accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Share of right pixels on the logits' own grid, every fourth pixel say; a number for the log."""
        height, width = logits.shape[-2:]
        labels = labels[:, :: self.stride, :: self.stride][:, :height, :width]
        valid = labels != IGNORED
        return ((logits.detach().argmax(1) == labels) & valid).sum() / valid.sum().clamp(min=1)

    def draw_targets(self, images: Tensor, targets: BatchTargets, frames: Frame) -> list[ndarray]:
        pictures = super().draw_targets(images, targets, frames)
        return [
            draw(picture, LabelMap(labels), self.scheme)
            for picture, labels in zip(pictures, join_labels(targets, images.shape[-2:]).numpy(), strict=True)
        ]

    def describe(self) -> Settings:
        return {
            "align_corners": self.align_corners,
            "scheme": self.scheme.describe(),
        }


@HEADS.register_module()
class SegmentationHead(LabelHead):
    """Two 1x1 convolutions on the joined maps (arXiv:1908.07919, Sec. 3.2).

    Behind the neck `Concat` it computes what the official code does, in its order. Without a neck `convolve_joined`
    gives the same logits in less time and memory.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        scheme: "cityscapes" ..., or the fields of a ClassScheme; None takes them from the training data.
        align_corners: of every bilinear enlarging, from the maps to the labels.
        bn_momentum: 0.01 in the master and pytorch-v1.1 branches of the official code, 0.1 in HRNet-OCR.
        loss: `forward(logits, labels)`; mean cross-entropy by default.

    Raises:
        OptionError: no classes are given, they are not known, or the loss has weights for another number of them.
    """

    output_layers = MappingProxyType({"last_layer.3": 1})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        align_corners: bool = False,
        bn_momentum: Share = 0.01,
        loss: nn.Module | None = None,
    ):
        super().__init__(in_strides, scheme, align_corners)
        channels = sum(in_channels)
        self.last_layer = two_convolutions(channels, len(self.scheme.names))
        self.criterion = loss or CrossEntropy()
        _check_weights(self.criterion, self.scheme)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = bn_momentum

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits [B, C, H, W] at the stride of the finest map."""
        return convolve_twice(maps, self.last_layer, self.align_corners)

    def logits(self, maps: list[Tensor]) -> Tensor:
        return self(maps)

    def loss(self, maps: list[Tensor], targets: BatchTargets, frames: Frame) -> dict[str, Tensor]:
        logits, labels = self(maps), self.labels(maps, targets)
        return {
            "loss_seg": self.criterion(self.enlarge(logits, labels), labels),
            **_count("count_seg", self.criterion, labels),
            "accuracy": self.pixel_accuracy(logits, labels),
        }


@HEADS.register_module()
class OCRHead(LabelHead):
    """Object-contextual representations (Yuan et al., ECCV 2020, arXiv:1909.11065) on the joined maps.

    An auxiliary output says roughly where each class is; the features under it, averaged, stand for the class, and
    every pixel attends to the classes. Needs the neck `Concat`.

    Args:
        in_channels: channels of the joined map.
        in_strides: its stride.
        scheme: "cityscapes" ..., or the fields of a ClassScheme; None takes them from the training data.
        align_corners: of enlarging to the labels; true in all official OCR weights, like the backbone's and neck's.
        channels: of the pixels' features.
        key_channels: of query, key and value.
        dropout: of whole channels, before the last convolution.
        bn_momentum: 0.1 in HRNet-OCR, 0.01 in the other branches of the official code.
        loss: of the final output, `forward(logits, labels)`; mean cross-entropy by default.
        aux_loss: of the auxiliary output; by default mean cross-entropy with the class weights of `loss`. Beside
            `OhemCrossEntropy` the official code has `CrossEntropy(average="all")`.
        aux_weight: factor on the auxiliary loss.

    Raises:
        OptionError: several maps are received, no classes are given, they are not known, or a loss has weights for
            another number of them.
    """

    output_layers = MappingProxyType({"aux_head.3": 1, "cls_head": 1})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        align_corners: bool = True,
        channels: Count = 512,
        key_channels: Count = 256,
        dropout: Share = 0.05,
        bn_momentum: Share = 0.1,
        loss: nn.Module | None = None,
        aux_loss: nn.Module | None = None,
        aux_weight: NotNegative = 0.4,
    ):
        super().__init__(in_strides, scheme, align_corners)
        if len(in_channels) != 1:
            raise OptionError(f"OCRHead reads one joined map, got {len(in_channels)}; put the neck Concat before it")
        joined, count = in_channels[0], len(self.scheme.names)
        self.criterion = loss or CrossEntropy()
        self.aux_criterion = aux_loss or CrossEntropy(getattr(self.criterion, "class_weights", None))
        self.aux_weight = aux_weight
        for criterion in (self.criterion, self.aux_criterion):
            _check_weights(criterion, self.scheme)
        # Left with torch's own initial values, as the official code does.
        self.aux_head = two_convolutions(joined, count)
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(joined, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.ocr_distri_head = ObjectContext(channels, key_channels, dropout)
        self.cls_head = nn.Conv2d(channels, count, 1)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = bn_momentum

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Auxiliary and final logits, each [B, C, H, W] at the stride of the map."""
        rough = self.aux_head(maps[0])
        pixels = self.conv3x3_ocr(maps[0])
        objects = gather_objects(pixels, rough)
        return [rough, self.cls_head(self.ocr_distri_head(pixels, objects))]

    def logits(self, maps: list[Tensor]) -> Tensor:
        """The final logits [B, C, H, W]."""
        return self(maps)[-1]

    def loss(self, maps: list[Tensor], targets: BatchTargets, frames: Frame) -> dict[str, Tensor]:
        (rough, logits), labels = self(maps), self.labels(maps, targets)
        return {
            "loss_seg": self.criterion(self.enlarge(logits, labels), labels),
            "loss_aux": self.aux_weight * self.aux_criterion(self.enlarge(rough, labels), labels),
            **_count("count_seg", self.criterion, labels),
            **_count("count_aux", self.aux_criterion, labels),
            "accuracy": self.pixel_accuracy(logits, labels),
        }

    def adapt(self, tensors: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], list[str]]:
        """The plain head's layers become the auxiliary output's, which are alike."""
        if not any(name.startswith("last_layer.") for name in tensors):
            return tensors, []
        renamed = {name.replace("last_layer.", "aux_head.", 1): tensor for name, tensor in tensors.items()}
        return renamed, ["the plain head's last_layer became aux_head"]


def gather_objects(pixels: Tensor, rough: Tensor) -> Tensor:
    """Average the pixels' features under each class (arXiv:1909.11065, Eq. 3).

    The weights of a class are a softmax over the pixels, not over the classes, on purpose.

    Args:
        pixels: [B, C, H, W].
        rough: logits of K classes [B, K, H, W].

    Returns:
        [B, C, K, 1].
    """
    weights = rough.flatten(2).softmax(dim=2)  # [B, K, N]
    return (pixels.flatten(2) @ weights.transpose(1, 2).to(pixels.dtype))[..., None]


class ObjectContext(nn.Module):
    """Let every pixel attend to the objects and join what it finds to its own features (arXiv:1909.11065, Eq. 4 to 6).

    Args:
        channels: of pixels and objects.
        key_channels: of query, key and value.
        dropout: of whole channels of the result.
    """

    def __init__(self, channels: int, key_channels: int, dropout: float):
        super().__init__()
        self.object_context_block = ObjectAttention(channels, key_channels)
        self.conv_bn_dropout = nn.Sequential(*_conv_bn_relu(2 * channels, channels), nn.Dropout2d(dropout))

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """From pixels [B, C, H, W] and objects [B, C, K, 1] to [B, C, H, W]."""
        context = self.object_context_block(pixels, objects)
        return self.conv_bn_dropout(torch.cat([context, pixels], dim=1))


class ObjectAttention(nn.Module):
    """Scaled dot-product attention of pixels to objects, between 1x1 convolutions.

    Args:
        channels: of pixels and objects.
        key_channels: of query, key and value.
    """

    def __init__(self, channels: int, key_channels: int):
        super().__init__()
        self.f_pixel = nn.Sequential(*_conv_bn_relu(channels, key_channels), *_conv_bn_relu(key_channels, key_channels))
        self.f_object = nn.Sequential(
            *_conv_bn_relu(channels, key_channels), *_conv_bn_relu(key_channels, key_channels)
        )
        self.f_down = nn.Sequential(*_conv_bn_relu(channels, key_channels))
        self.f_up = nn.Sequential(*_conv_bn_relu(key_channels, channels))

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """From pixels [B, C, H, W] and objects [B, C, K, 1] to each pixel's context [B, C, H, W]."""
        query, key, value = (
            layers(x).flatten(2).transpose(1, 2)[:, None]  # [B, 1 head, N or K, key_channels]
            for layers, x in ((self.f_pixel, pixels), (self.f_object, objects), (self.f_down, objects))
        )
        context = F.scaled_dot_product_attention(query, key, value)[:, 0]  # [B, N, key_channels]
        return self.f_up(context.transpose(1, 2).unflatten(2, pixels.shape[-2:]))


def _conv_bn_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 1x1 convolution, then normalisation and ReLU as one module of their own, as the official names have it."""
    return [
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.Sequential(nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)),
    ]


def _count(name: str, criterion: nn.Module, labels: Tensor) -> dict[str, Tensor]:
    """What a criterion divides by, where it tells that of labels alone."""
    return {name: criterion.count(labels)} if isinstance(criterion, CrossEntropy) else {}


def _check_weights(criterion: nn.Module, scheme: ClassScheme) -> None:
    weights, classes = getattr(criterion, "class_weights", None), len(scheme.names)
    if weights is not None and len(weights) != classes:
        raise OptionError(f"{type(criterion).__name__}: {len(weights)} class_weights for {classes} classes")
