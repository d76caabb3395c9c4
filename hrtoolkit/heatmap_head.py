"""From the finest map to keypoints in the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hrtoolkit import geometry
from hrtoolkit.errors import DataError
from hrtoolkit.heatmap_loss import KeypointMSE, heatmap_accuracy
from hrtoolkit.heatmaps import Codec, GaussianHeatmap, find_peaks
from hrtoolkit.layouts import LAYOUTS, resolve_layout
from hrtoolkit.registry import MODELS
from hrtoolkit.structures import KeypointLayout
from hrtoolkit.visualization import draw_heatmap


class KeypointHead(nn.Module):
    """What every heatmap head shares: targets, loss and reading keypoints; a subclass turns maps into heatmaps.

    Args:
        stride: of the heatmaps, in input pixels.
        layout: the keypoints: a known name such as "coco", a KeypointLayout or its fields; None takes them from the
            training data.
        codec: draws and reads heatmaps; the official gaussian of the pose code by default.
        loss: `forward(heatmaps, targets, weights)`; the official mean squared error by default.

    Raises:
        ValueError: no layout is given, or it is not known.
    """

    def __init__(
        self,
        stride: int,
        layout: str | dict | KeypointLayout | None = None,
        codec: Codec | None = None,
        loss: nn.Module | None = None,
    ):
        super().__init__()
        self.layout = resolve_layout(layout)
        self.stride = stride
        self.codec = codec or GaussianHeatmap()
        self.criterion = loss or KeypointMSE()
        self.flip_order = self.layout.flip_order()

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Heatmaps [B, K, H, W] at `stride`, contiguous: peaks are found five times as fast as in channels_last."""
        raise NotImplementedError

    def loss(self, maps: list[Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compare with `keypoints` [B, K, 2] (x, y in input pixels) where `visible` [B, K] is above 0."""
        heatmaps = self(maps)
        heatmap_hw = heatmaps.shape[-2:]
        drawn, weights = self.codec.encode(targets["keypoints"], targets["visible"], heatmap_hw, self.stride)
        cells, true_cells = find_peaks(heatmaps.detach())[0], find_peaks(drawn)[0]
        return {
            "loss_heatmap": self.criterion(heatmaps, drawn, weights),
            "accuracy": heatmap_accuracy(cells, true_cells, weights, heatmap_hw),
        }

    def predict(self, maps: list[Tensor], meta: list[dict], flipped: list[Tensor] | None = None) -> list[dict]:
        """Read each person's keypoints.

        Args:
            maps: of B crops.
            meta: one dict a crop with its `matrix` (image pixels to input pixels); the rest is handed on.
            flipped: maps of the mirrored crops, to be averaged with.

        Returns:
            each dict of `meta` with `keypoints` [K, 2] (x, y in image pixels) and `scores` [K], the peak heights.
        """
        heatmaps = self(maps)
        if flipped is not None:
            heatmaps = (heatmaps + self.codec.flip(self(flipped), self.flip_order)) / 2
        points, scores = (t.cpu().numpy() for t in self.codec.decode(heatmaps, self.stride))
        points = self.to_image(points, np.array([m["matrix"] for m in meta])).astype(np.float32)
        return [{**m, "keypoints": p, "scores": s} for m, p, s in zip(meta, points, scores, strict=True)]

    def to_image(self, points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
        """Map points [B, K, 2] of crops back to their images; matrices [B, 2, 3] map image to input pixels."""
        return geometry.transform_points(points, geometry.invert_affine(matrices))

    def draw_targets(self, images: Tensor, targets: dict[str, Tensor]) -> list[np.ndarray]:
        """Draw what `loss` compares with over its images.

        Args:
            images: uint8 [B, 3, H, W].
            targets: as for `loss`.

        Returns:
            B pictures, RGB uint8 [H, W, 3], with the highest of all heatmaps at each place.
        """
        height, width = (-(-side // self.stride) for side in images.shape[-2:])
        drawn, _ = self.codec.encode(targets["keypoints"], targets["visible"], (height, width), self.stride)
        # Only the codec knows where its cells lie in the image: ask it for the middle one, which no border disturbs.
        middle = torch.zeros(1, 1, height, width)
        middle[..., height // 2, width // 2] = 1
        x, y = self.codec.decode(middle, self.stride)[0][0, 0].tolist()
        scale = (x / (width // 2), y / (height // 2))
        pictures = images.permute(0, 2, 3, 1).numpy()
        maps = drawn.amax(dim=1).numpy()
        return [draw_heatmap(picture, heatmap, scale) for picture, heatmap in zip(pictures, maps, strict=True)]

    def check_data(self, layout: str | dict | KeypointLayout) -> None:
        """Refuse data whose keypoints are not this head's.

        Raises:
            DataError: other names, or another number of them.
        """
        ours, theirs = self.layout.names, resolve_layout(layout).names
        if ours != theirs:
            raise DataError(
                f"the data has {len(theirs)} keypoints ({', '.join(theirs)}), the head has {len(ours)} "
                f"({', '.join(ours)}); set model.head.layout=None to take them from the data"
            )

    @property
    def output_names(self) -> tuple[str, ...]:
        """What each output channel stands for: a checkpoint of another layout lends the channels of equal name."""
        return self.layout.names

    @staticmethod
    def published_names(outputs: int) -> tuple[str, ...] | None:
        """Keypoint names of an official or OpenMMLab file that does not tell: the scheme with that many of them."""
        return next((scheme.names for scheme in LAYOUTS.values() if len(scheme.names) == outputs), None)

    def describe(self) -> dict:
        """What predictions of these weights depend on, in plain values; it is kept in every checkpoint."""
        return {
            "codec": {"type": type(self.codec).__name__, **vars(self.codec)},
            "layout": {"names": list(self.layout.names), "mirrored": [list(pair) for pair in self.layout.mirrored]},
        }


@MODELS.register_module()
class HeatmapHead(KeypointHead):
    """V1: one heatmap a keypoint by a 1x1 convolution on the finest map (arXiv:1902.09212, Sec. 3).

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        layout: see `KeypointHead`.
        codec: see `KeypointHead`.
        loss: see `KeypointHead`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        layout: str | dict | KeypointLayout | None = None,
        codec: Codec | None = None,
        loss: nn.Module | None = None,
    ):
        super().__init__(in_strides[0], layout, codec, loss)
        self.final_layer = nn.Conv2d(in_channels[0], len(self.layout.names), 1)
        nn.init.normal_(self.final_layer.weight, std=0.001)
        nn.init.zeros_(self.final_layer.bias)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.final_layer(maps[0]).contiguous()
