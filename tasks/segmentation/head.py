"""From feature maps to classes: the plain HRNetV2 head and the OCR head, with the official names of their tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from hrtoolkit.tasks.segmentation.classes import IGNORED, SCHEMES, ClassSet, resolve_classes
from hrtoolkit.tasks.segmentation.loss import CrossEntropy
from hrtoolkit.tasks.segmentation.openmmlab import rename
from hrtoolkit.tasks.segmentation.pictures import overlay_labels
from hrtoolkit.tasks.segmentation.postprocess import best_labels, whole_image
from torch import Tensor, nn

from hrtoolkit.errors import DataError, shorten
from hrtoolkit.necks import convolve_joined
from hrtoolkit.registry import MODELS

INPLACE_ABN_EPS = 1e-5


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
        height, width = logits.shape[-2:]
        labels = labels[:, :: self.stride, :: self.stride][:, :height, :width]
        valid = labels != IGNORED
        return ((logits.detach().argmax(1) == labels) & valid).sum() / valid.sum().clamp(min=1)

    def draw_targets(self, images: Tensor, targets: dict[str, Tensor]) -> list[np.ndarray]:
        """Colour images by their label maps.

        Args:
            images: uint8 [B, 3, H, W].
            targets: as for `loss`.

        Returns:
            B pictures, RGB uint8 [H, W, 3].
        """
        pairs = zip(images.permute(0, 2, 3, 1).numpy(), targets["label"].numpy(), strict=True)
        return [overlay_labels(image, labels, self.classes) for image, labels in pairs]

    def check_data(self, classes: str | dict | ClassSet) -> None:
        """Refuse data whose classes are not this head's.

        Raises:
            DataError: other names, or another number of them.
        """
        ours, theirs = self.classes.names, resolve_classes(classes).names
        if ours != theirs:
            raise DataError(
                f"the data has {len(theirs)} classes ({shorten(theirs)}), the head has {len(ours)} "
                f"({shorten(ours)}); set model.head.classes=None to take them from the data"
            )

    def convert_checkpoint(self, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Give mmsegmentation's layers the official names, and undo what is peculiar to official files.

        Files that were trained with InPlaceABN (torch 0.4: all of the master branch, and those named `*_torch04`)
        normalise by |weight| + 1e-5 and know no batch counters, by which they are told apart: that factor becomes the
        weight. (Converting a plain file that lost its counters only changes the sign of negative weights.)

        Args:
            tensors: by the model's names.

        Returns:
            the tensors, and what was done to them.
        """
        tensors, notes = dict(tensors), []
        if any(name.startswith("decode_head.") for name in tensors):
            tensors = rename(tensors)
        if tensors.pop("head.loss.criterion.weight", None) is not None:
            notes.append("left out the class weights of the loss it was trained with")
        norms = [name.removesuffix("running_mean") + "weight" for name in tensors if name.endswith(".running_mean")]
        has_head = any(name.startswith("head.") for name in norms)
        if has_head and not any(name.endswith(".num_batches_tracked") for name in tensors):
            for name in norms:
                tensors[name] = tensors[name].abs() + INPLACE_ABN_EPS
            notes.append(f"trained with InPlaceABN: weights of {len(norms)} normalisations became |weight| + 1e-5")
        return tensors, notes

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

    Behind the neck `Concat` it computes what the official code does, in its order. Without a neck `convolve_joined`
    gives the same logits in less time and memory.

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
        conv, norm, relu, last = self.last_layer
        return last(relu(convolve_joined(maps, conv, norm, self.align_corners)))

    logits = forward

    def loss(self, maps: list[Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compare with `label` [B, H, W], class indices in input pixels."""
        logits, labels = self(maps), targets["label"]
        return {
            "loss_seg": self.criterion(self.enlarge(logits, labels), labels),
            "accuracy": self.pixel_accuracy(logits, labels),
        }


@MODELS.register_module()
class OCRHead(LabelHead):
    """Object-contextual representations (Yuan et al., ECCV 2020, arXiv:1909.11065) on the joined maps.

    An auxiliary output says roughly where each class is; the features under it, averaged, stand for the class, and
    every pixel attends to the classes. Needs the neck `Concat`.

    Args:
        in_channels: channels of the joined map.
        in_strides: its stride.
        classes: "cityscapes" ..., a ClassSet or its fields; None takes them from the training data.
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
        ValueError: several maps are received, no classes are given, they are not known, or a loss has weights for
            another number of them.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        classes: str | dict | ClassSet | None = None,
        align_corners: bool = True,
        channels: int = 512,
        key_channels: int = 256,
        dropout: float = 0.05,
        bn_momentum: float = 0.1,
        loss: nn.Module | None = None,
        aux_loss: nn.Module | None = None,
        aux_weight: float = 0.4,
    ):
        super().__init__(in_strides, classes, align_corners)
        if len(in_channels) != 1:
            raise ValueError(f"OCRHead reads one joined map, got {len(in_channels)}; put the neck Concat before it")
        joined, count = in_channels[0], len(self.classes.names)
        self.criterion = loss or CrossEntropy()
        self.aux_criterion = aux_loss or CrossEntropy(getattr(self.criterion, "class_weights", None))
        self.aux_weight = aux_weight
        for criterion in (self.criterion, self.aux_criterion):
            _check_weights(criterion, self.classes)
        # Left with torch's own initial values, as the official code does.
        self.aux_head = _two_convolutions(joined, count)
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

    def loss(self, maps: list[Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compare both outputs with `label` [B, H, W], class indices in input pixels."""
        (rough, logits), labels = self(maps), targets["label"]
        return {
            "loss_seg": self.criterion(self.enlarge(logits, labels), labels),
            "loss_aux": self.aux_weight * self.aux_criterion(self.enlarge(rough, labels), labels),
            "accuracy": self.pixel_accuracy(logits, labels),
        }

    def convert_checkpoint(self, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """As for every head; the plain head's layers become the auxiliary output's, which are alike."""
        tensors, notes = super().convert_checkpoint(tensors)
        plain = [name for name in tensors if name.startswith("head.last_layer.")]
        if plain:
            notes.append("the plain head's last_layer became aux_head")
        return {
            name.replace("head.last_layer.", "head.aux_head.", 1): tensor for name, tensor in tensors.items()
        }, notes


def gather_objects(pixels: Tensor, rough: Tensor) -> Tensor:
    """Average the pixels' features under each class (arXiv:1909.11065, Eq. 3).

    The weights of a class are a softmax over the pixels, not over the classes: that is meant so.

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
            layers(x).flatten(2).transpose(1, 2)  # [B, N or K, key_channels]
            for layers, x in ((self.f_pixel, pixels), (self.f_object, objects), (self.f_down, objects))
        )
        context = F.scaled_dot_product_attention(query, key, value)  # [B, N, key_channels]
        return self.f_up(context.transpose(1, 2).unflatten(2, pixels.shape[-2:]))


def _conv_bn_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 1x1 convolution, then normalisation and ReLU as one module of their own, as the official names have it."""
    return [
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.Sequential(nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)),
    ]


def _two_convolutions(channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, classes, 1),
    )


def _check_weights(criterion: nn.Module, classes: ClassSet) -> None:
    weights = getattr(criterion, "class_weights", None)
    if weights is not None and len(weights) != len(classes.names):
        raise ValueError(f"{type(criterion).__name__}: {len(weights)} class_weights for {len(classes.names)} classes")
