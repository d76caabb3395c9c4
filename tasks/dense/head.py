"""From feature maps to numbers of every pixel."""

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
from hrtoolkit.maps import covered_hw, grid_of_image, maps_at_image, resize_maps, stack_padded
from hrtoolkit.necks import convolve_twice, two_convolutions
from hrtoolkit.parts import BaseHead, BatchTargets
from hrtoolkit.ranges import Positive, Share
from hrtoolkit.records import ValueMap
from hrtoolkit.registry import HEADS
from hrtoolkit.runtime.drawing import draw
from hrtoolkit.runtime.reading import MOST
from hrtoolkit.schemes import SchemeLike, ValueScheme, resolve_scheme
from hrtoolkit.tasks.dense.loss import AbsoluteError, CosineError, MaskedLoss


def value_targets(truth: ValueMap, frame: Frame) -> dict[str, ndarray]:
    """What the head compares with: `values`, float32 [C, h, w], NaN where nothing is known."""
    return {"values": truth.values}


@HEADS.register_module()
class DenseHead(BaseHead[BatchTargets]):
    """Two 1x1 convolutions on the joined maps, a number each value of the scheme, enlarged bilinearly to the input.

    What outputs stand for follows from the scheme's `values`: "any" are the outputs themselves, "positive" ones their
    exponentials, and a "unit_vector" has their direction. Behind the neck `HighestResolution` the finest map alone is
    read.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        scheme: "depth", "normals", names, or the fields of a `ValueScheme`; None takes it from the training data.
        typical: size of values that outputs start at: both are multiplied by it, so that values in thousands need no
            other learning rate. Of no effect on unit vectors.
        align_corners: of every bilinear enlarging, from the maps to the image.
        bn_momentum: of the normalisation between the convolutions.
        loss: `forward(values, truth)`; by default `CosineError` of unit vectors, `AbsoluteError` of others, of
            positive ones of their logarithms.

    Raises:
        OptionError: no values are named, they are not known, or the loss takes logarithms of numbers of any sign.
    """

    flip_signs: Tensor
    kind = ValueScheme
    targets = staticmethod(value_targets)
    output_layers = MappingProxyType({"last_layer.3": 1})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        typical: Positive = 1.0,
        align_corners: bool = False,
        bn_momentum: Share = 0.1,
        loss: nn.Module | None = None,
    ):
        super().__init__()
        self.stride = in_strides[0]
        self.scheme = resolve_scheme(scheme, ValueScheme)
        self.typical = typical
        self.align_corners = align_corners
        self.last_layer = two_convolutions(sum(in_channels), len(self.scheme.names))
        norm = self.last_layer[1]
        assert isinstance(norm, nn.BatchNorm2d)
        norm.momentum = bn_momentum
        positive = self.scheme.values == "positive"
        self.criterion = loss or (
            CosineError() if self.scheme.values == "unit_vector" else AbsoluteError(logarithm=positive)
        )
        if getattr(self.criterion, "logarithm", False) and not positive:
            raise OptionError("AbsoluteError(logarithm=True) is for values that the scheme says are 'positive'")
        self.flip_order = self.scheme.flip_order()
        signs = torch.tensor(self.scheme.flip_signs(), dtype=torch.float32)
        self.register_buffer("flip_signs", signs[:, None, None], persistent=False)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Outputs [B, C, H, W] at the stride of the finest map, of which `to_values` makes values."""
        return convolve_twice(maps, self.last_layer, self.align_corners)

    def to_values(self, outputs: Tensor) -> Tensor:
        """What outputs [..., C, H, W] stand for, float32."""
        outputs = outputs.float()
        if self.scheme.values == "unit_vector":
            return F.normalize(outputs, dim=-3)
        return self.typical * (outputs.clamp(-MOST, MOST).exp() if self.scheme.values == "positive" else outputs)

    def loss(self, maps: list[Tensor], targets: BatchTargets, frames: Frame) -> dict[str, Tensor]:
        truth = join_values(targets, [side * self.stride for side in maps[0].shape[-2:]])
        outputs = self(maps).float()
        enlarged = F.interpolate(outputs, size=truth.shape[-2:], mode="bilinear", align_corners=self.align_corners)
        losses = {"loss_values": self.criterion(self.to_values(enlarged), truth)}
        if isinstance(self.criterion, MaskedLoss):
            losses["count_values"] = self.criterion.count(truth)
        return losses

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`values`: outputs [B, C, h, w] at the stride of the finest map."""
        outputs = self(maps)
        if flipped is not None:
            # Of a unit vector the outputs' length says nothing.
            parts = [outputs, (self(flipped)[:, self.flip_order] * self.flip_signs).flip(-1)]
            if self.scheme.values == "unit_vector":
                parts = [F.normalize(one, dim=1) for one in parts]
            outputs = (parts[0] + parts[1]) / 2
        return {"values": outputs}

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[ValueMap]:
        return self._read(self.decode(maps, flipped)["values"], frames)

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> list[ValueMap]:
        return self._read(torch.from_numpy(outputs["values"]), frames)

    def reading(self) -> Settings:
        return {
            "kind": "value_map",
            "align_corners": self.align_corners,
            "values": self.scheme.values,
            "typical": self.typical,
        }

    def _read(self, outputs: Tensor, frames: Frame) -> list[ValueMap]:
        """Values at the pixels of each image."""
        records = []
        for index, one in enumerate(outputs.float()):
            frame = frames[index]
            input_hw, content_hw, image_hw = ((h, w) for h, w in (frame.input_hw, frame.content_hw, frame.image_hw))
            covered = covered_hw(one.shape[1:], input_hw, self.stride)
            maps = resize_maps(one, covered, self.align_corners)[:, : input_hw[0], : input_hw[1]]
            grid = grid_of_image(frame.matrix, input_hw, image_hw).to(one.device) if isinstance(frame, Warp) else None
            maps = maps_at_image(maps, content_hw, image_hw, self.align_corners, grid)
            records.append(ValueMap(self.to_values(maps).cpu().numpy()))
        return records

    def draw_targets(self, images: Tensor, targets: BatchTargets, frames: Frame) -> list[ndarray]:
        pictures = super().draw_targets(images, targets, frames)
        values = join_values(targets, images.shape[-2:]).numpy()
        return [draw(picture, ValueMap(one), self.scheme) for picture, one in zip(pictures, values, strict=True)]

    def describe(self) -> Settings:
        return {
            "align_corners": self.align_corners,
            "typical": self.typical,
            "scheme": self.scheme.describe(),
        }


def join_values(targets: BatchTargets, size_hw: Sequence[int]) -> Tensor:
    """The values of a batch, float32 [B, C, H, W], NaN where a batch of several sizes is padded."""
    if isinstance(targets, dict):
        return targets["values"]
    return stack_padded([one["values"] for one in targets], size_hw, np.nan)
