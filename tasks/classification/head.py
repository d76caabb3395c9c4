"""From the backbone's maps to one score a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrtoolkit.backbones.hrnet import Bottleneck
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.registry import MODELS
from hrtoolkit.visualization import draw_text


@MODELS.register_module()
class PooledHead(nn.Module):
    """A linear layer on the average of the coarsest map: for any backbone and neck.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        num_classes: None takes it from the class names, and both from the training data where neither is given.
        class_names: one a class, in the order of the outputs; None where nobody knows them.
        label_smoothing: share of every target that is spread evenly over all classes (arXiv:1512.00567).
        dropout: share of the pooled vector that is dropped in training.

    Raises:
        ValueError: neither the number nor the names of the classes are known, or they disagree.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        num_classes: int | None = None,
        class_names: Sequence[str] | None = None,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        name = type(self).__name__
        if num_classes is None and class_names is None:
            raise ValueError(f"{name}: num_classes or class_names is needed where no data tells them")
        if num_classes is not None and class_names is not None and num_classes != len(class_names):
            raise ValueError(
                f"{name}: num_classes is {num_classes}, but there are {len(class_names)} classes in the data "
                f"({shorten(class_names)}); set model.head.num_classes=None to take the number from the data"
            )
        self.num_classes = len(class_names) if num_classes is None else num_classes
        self.class_names = None if class_names is None else tuple(class_names)
        self.label_smoothing = label_smoothing
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(in_channels[-1], self.num_classes)

    def extract(self, maps: list[Tensor]) -> Tensor:
        """The feature vector [B, F] of each image."""
        return maps[-1].mean((2, 3))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits [B, C]."""
        return self.classifier(self.dropout(self.extract(maps)))

    def loss(self, maps: list[Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compare with the `label` [B] of each image.

        Args:
            maps: of B images.
            targets: `label`, and where images were mixed also `mixing` [B, B]: the share of each label in each image.
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

    def predict(self, maps: list[Tensor], meta: list[dict], flipped: list[Tensor] | None = None) -> list[dict]:
        """Score every class.

        Args:
            maps: of B images.
            meta: one dict an image, handed on.
            flipped: maps of the mirrored images; the logits of both are averaged.

        Returns:
            each dict of `meta` with `scores` [C], which sum to 1, and `predicted`, the class of the highest.
        """
        logits = self(maps).float()
        if flipped is not None:
            logits = (logits + self(flipped).float()) / 2
        scores = logits.softmax(1).cpu().numpy()
        return [{**m, "scores": s, "predicted": int(s.argmax())} for m, s in zip(meta, scores, strict=True)]

    def draw_targets(self, images: Tensor, targets: dict[str, Tensor]) -> list[np.ndarray]:
        """Write the class of each image across it.

        Args:
            images: uint8 [B, 3, H, W].
            targets: as for `loss`.

        Returns:
            B pictures, RGB uint8 [H, W, 3].
        """
        names = self.class_names or range(self.num_classes)
        pictures = images.permute(0, 2, 3, 1).numpy()
        labels = targets["label"].tolist()
        return [draw_text(picture, str(names[label])) for picture, label in zip(pictures, labels, strict=True)]

    def check_data(self, num_classes: int, class_names: Sequence[str] | None) -> None:
        """Refuse data whose classes are not this head's; a list of numbered classes may hold only some of them.

        Raises:
            DataError: other names, or more classes than there are outputs.
        """
        if self.class_names is not None and class_names is not None and self.class_names != tuple(class_names):
            ours, theirs = set(self.class_names), set(class_names)
            differ = [
                f"only the {where} has {shorten(sorted(names))}"
                for where, names in (("data", theirs - ours), ("head", ours - theirs))
                if names
            ]
            raise DataError(
                f"the data has {len(class_names)} classes, the head {self.num_classes}: "
                f"{'; '.join(differ) or 'the same in another order'}. Training, validation and head need the same ones"
            )
        if num_classes > self.num_classes or (class_names is not None and num_classes != self.num_classes):
            named = f" ({shorten(class_names)})" if class_names else f" (labels up to {num_classes - 1})"
            raise DataError(
                f"the data has {num_classes} classes{named}, the head has {self.num_classes}; set "
                "model.head.num_classes=None to take the number from the data"
            )

    @property
    def output_names(self) -> tuple[str, ...]:
        """What each output stands for: a checkpoint of other classes lends those of equal name."""
        return self.class_names or ()

    @staticmethod
    def published_names(outputs: int) -> tuple[str, ...] | None:
        """Class names of a file that does not tell: unknown."""
        return None

    def describe(self) -> dict:
        """What predictions of these weights depend on, in plain values; the names are kept as `output_names`."""
        return {"num_classes": self.num_classes}


@MODELS.register_module()
class ClassificationHead(PooledHead):
    """HRNet-C: widen each resolution, step down from the finest, summing, and pool 2048 channels (arXiv:1908.07919).

    Layers carry the official names, which timm shares, so that their weights load without renaming.

    Args:
        in_channels: channels of the four maps received, finest first.
        in_strides: their strides, 4 to 32.
        num_classes: None takes it from the class names, and both from the training data where neither is given.
        class_names: one a class, in the order of the outputs; None where nobody knows them.
        label_smoothing: share of every target that is spread evenly over all classes.
        dropout: share of the pooled vector that is dropped in training; the originals have none.
        conv_bias: of the convolutions between the resolutions and the last one: the official and timm weights have it,
            timm's `*_ssld` ones do not.

    Raises:
        ValueError: there are not four maps, or the classes are not known or disagree.
    """

    PLANES = (32, 64, 128, 256)
    FEATURES = 2048

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        num_classes: int | None = None,
        class_names: Sequence[str] | None = None,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        conv_bias: bool = True,
    ):
        super().__init__([self.FEATURES], in_strides, num_classes, class_names, label_smoothing, dropout)
        if tuple(in_strides) != (4, 8, 16, 32):
            raise ValueError(
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

    def extract(self, maps: list[Tensor]) -> Tensor:
        total = self.incre_modules[0](maps[0])
        for level, step_down in enumerate(self.downsamp_modules, start=1):
            total = self.incre_modules[level](maps[level]) + step_down(total)
        return self.final_layer(total).mean((2, 3))
