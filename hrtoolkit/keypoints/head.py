"""From the finest map to keypoints in the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.errors import Moved
from hrtoolkit.frames import Frame, Settings, Warp
from hrtoolkit.keypoints.codecs import Codec, GaussianHeatmap, find_peaks
from hrtoolkit.keypoints.loss import KeypointMSE, heatmap_accuracy
from hrtoolkit.parts import BaseHead, Stacked
from hrtoolkit.records import Objects
from hrtoolkit.registry import HEADS
from hrtoolkit.schemes import KeypointScheme, SchemeLike, resolve_scheme
from hrtoolkit.visualization import draw_heatmap


def keypoint_targets(record: Objects, frame: Frame) -> dict[str, ndarray]:
    """The keypoints of the one object that a crop shows: `keypoints` [K, 2] (x, y) and `visible` [K], float32."""
    assert record.points is not None and record.visible is not None
    return {"keypoints": record.points[0], "visible": (record.visible[0] > 0).astype(np.float32)}


class KeypointHead(BaseHead[Stacked]):
    """What every heatmap head shares: targets, loss and reading keypoints; a subclass turns maps into heatmaps.

    Args:
        stride: of the heatmaps, in input pixels.
        scheme: the keypoints: a known name such as "coco", names, fields of a scheme, or a scheme; None takes them from
            the training data.
        codec: draws and reads heatmaps; the official gaussian of the pose code by default.
        loss: `forward(heatmaps, targets, weights)`; the official mean squared error by default.

    Raises:
        OptionError: no scheme is given, or it is not known.
    """

    moved: ClassVar[Moved] = {"layout": "scheme"}
    scheme: KeypointScheme
    kind = KeypointScheme
    targets = staticmethod(keypoint_targets)

    def __init__(
        self,
        stride: int,
        *,
        scheme: SchemeLike | None = None,
        codec: Codec | None = None,
        loss: nn.Module | None = None,
    ):
        super().__init__()
        self.scheme = resolve_scheme(scheme, KeypointScheme)
        self.stride = stride
        self.codec = codec or GaussianHeatmap()
        self.needs = self.codec.needs
        self.criterion = loss or KeypointMSE()
        self.flip_order = self.scheme.flip_order()

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Heatmaps [B, K, H, W] at `stride`, contiguous: peaks are found five times as fast as in channels_last."""
        raise NotImplementedError

    def loss(self, maps: list[Tensor], targets: Stacked, frames: Frame) -> dict[str, Tensor]:
        """Compare with `keypoints` [B, K, 2] (x, y in input pixels) where `visible` [B, K] is above 0."""
        heatmaps = self(maps)
        heatmap_hw = heatmaps.shape[-2:]
        drawn, weights = self.codec.encode(targets["keypoints"], targets["visible"], heatmap_hw, self.stride)
        cells, true_cells = find_peaks(heatmaps.detach())[0], find_peaks(drawn)[0]
        return {
            "loss_heatmap": self.criterion(heatmaps, drawn, weights),
            "accuracy": heatmap_accuracy(cells, true_cells, weights, heatmap_hw),
        }

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[Objects]:
        """Read each crop's keypoints.

        Args:
            maps: of B crops.
            frames: of the crops.
            flipped: maps of the mirrored crops, to be averaged with.

        Returns:
            one object a crop: its `points` in image pixels, `point_scores`, the peak heights, and the crop's box, score
            and area.
        """
        found = self.decode(maps, flipped)
        return self.read({name: found[name].cpu().numpy() for name in ("points", "scores")}, frames)

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`heatmaps` [B, K, h, w], `points` [B, K, 2] in input pixels, and their `scores` [B, K]."""
        heatmaps = self(maps)
        if flipped is not None:
            heatmaps = (heatmaps + self.codec.flip(self(flipped), self.flip_order)) / 2
        points, scores = self.codec.decode(heatmaps, self.stride)
        return {"heatmaps": heatmaps, "points": points, "scores": scores}

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> list[Objects]:
        assert isinstance(frames, Warp), "views of crops give such frames"
        points, scores = self.to_image(outputs["points"], frames).astype(np.float32), outputs["scores"]
        boxes, box_scores, areas = frames.box_xyxy, frames.score, frames.area
        assert isinstance(boxes, ndarray) and isinstance(box_scores, ndarray) and isinstance(areas, ndarray)
        return [
            Objects(
                boxes_xyxy=boxes[i : i + 1],
                labels=np.zeros(1, np.int64),
                scores=box_scores[i : i + 1],
                points=points[i : i + 1],
                point_scores=scores[i : i + 1],
                areas=areas[i : i + 1],
            )
            for i in range(len(points))
        ]

    def reading(self) -> Settings:
        return {"kind": "keypoints", "integer_points": False}

    def to_image(self, points: ndarray, frames: Warp) -> ndarray:
        """Map points [B, K, 2] of crops back to their images."""
        return frames.points_to_image(points)

    def draw_targets(self, images: Tensor, targets: Stacked, frames: Frame) -> list[ndarray]:
        """Draw the highest of all heatmaps at each place over the images, RGB uint8 [H, W, 3] each."""
        height, width = (-(-side // self.stride) for side in images.shape[-2:])
        drawn, _ = self.codec.encode(targets["keypoints"], targets["visible"], (height, width), self.stride)
        # Only the codec knows where its cells lie in the image: ask it for the middle one, which no border disturbs.
        middle = torch.zeros(1, 1, height, width)
        middle[..., height // 2, width // 2] = 1
        x, y = self.codec.decode(middle, self.stride)[0][0, 0].tolist()
        scale = (x / (width // 2), y / (height // 2))
        pictures = super().draw_targets(images, targets, frames)
        maps = drawn.amax(dim=1).numpy()
        return [draw_heatmap(picture, heatmap, scale) for picture, heatmap in zip(pictures, maps, strict=True)]

    def describe(self) -> Settings:
        return {
            "codec": self.codec.describe(),
            "scheme": self.scheme.describe(),
        }


@HEADS.register_module()
class HeatmapHead(KeypointHead):
    """V1: one heatmap a keypoint by a 1x1 convolution on the finest map (arXiv:1902.09212, Sec. 3).

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        scheme: see `KeypointHead`.
        codec: see `KeypointHead`.
        loss: see `KeypointHead`.
    """

    output_layers = MappingProxyType({"final_layer": 1})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        codec: Codec | None = None,
        loss: nn.Module | None = None,
    ):
        super().__init__(in_strides[0], scheme=scheme, codec=codec, loss=loss)
        self.final_layer = nn.Conv2d(in_channels[0], len(self.scheme.names), 1)
        nn.init.normal_(self.final_layer.weight, std=0.001)
        assert self.final_layer.bias is not None
        nn.init.zeros_(self.final_layer.bias)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.final_layer(maps[0]).contiguous()
