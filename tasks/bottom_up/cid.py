"""CID: a peak is a person, whose features pick that person's heatmaps out of everybody's (Wang and Zhang, CVPR 2022).

Layers carry the official names, `iia.*` and `gfd.*`. What the official code computes on large tensors is computed on
small ones here: 1x1 convolutions before maps are enlarged, and the two attentions inside the convolution that joins
them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Settings
from hrtoolkit.necks import convolve_maps
from hrtoolkit.parts import Listed
from hrtoolkit.ranges import Count, NotNegative, Share
from hrtoolkit.records import Objects
from hrtoolkit.registry import HEADS
from hrtoolkit.schemes import SchemeLike
from hrtoolkit.tasks.bottom_up.cid_losses import contrastive_loss, focal_loss
from hrtoolkit.tasks.bottom_up.cid_reading import read_heatmaps, read_peaked
from hrtoolkit.tasks.bottom_up.cid_targets import CenterTargets, Painted, paint_targets
from hrtoolkit.tasks.bottom_up.heads import PosesHead
from hrtoolkit.tasks.bottom_up.peaks import clear_beyond, find_centers, smooth
from hrtoolkit.tasks.bottom_up.targets import dim_unused
from hrtoolkit.visualization import draw_heatmap

LEAST, MOST = 1e-4, 1 - 1e-4  # of a heatmap
REACH = 32  # cells: what distances to the centre are divided by, at all sizes of images
PRIOR = -math.log(99)  # bias of heatmaps: 0.01 everywhere, before training
OF_ONE = 4.0  # weight of the heatmaps of single people


class InstanceAbstraction(nn.Module):
    """Where everybody's keypoints are, which only teaches, and where everybody's centre is.

    Args:
        channels: of the joined maps.
        keypoints: how many there are; the centre comes last.
    """

    def __init__(self, channels: int, keypoints: int):
        super().__init__()
        self.keypoint_center_conv = nn.Conv2d(channels, keypoints + 1, 1)


class FeatureDecoupling(nn.Module):
    """The heatmaps of one person, from everybody's features and that person's.

    Args:
        channels: of the joined maps.
        keypoints: how many there are.
        inner: channels that all of it happens in.
    """

    def __init__(self, channels: int, keypoints: int, inner: int):
        super().__init__()
        self.conv_down = nn.Conv2d(channels, inner, 1)
        self.c_attn = nn.ModuleDict({"atn": nn.Linear(channels, inner)})
        self.s_attn = SpatialAttention(channels, inner)
        self.fuse_attn = nn.Conv2d(2 * inner, inner, 1)
        self.heatmap_conv = nn.Conv2d(inner, keypoints, 1)

    def forward(self, features: Tensor, people: Tensor, cells: Tensor) -> Tensor:
        """Logits of the heatmaps of P people of each image.

        Args:
            features: what `conv_down` gives, [B, G, H, W].
            people: features of the people, [B, P, F].
            cells: where they were taken, [B, P, 2] (x, y).

        Returns:
            [B, P, K, H, W].
        """
        flat = features.flatten(2)  # [B, G, N]
        gates = self.c_attn["atn"](people)  # [B, P, G]
        places = self.s_attn(features, people, cells).flatten(2)  # [B, P, N]
        # fuse_attn(cat(gate * f, place * f)) is (own columns * gate) f + place * (other columns f): the first is all
        # that is as large as the features of each person, and it is the only such tensor that is kept.
        by_channel, by_place = self.fuse_attn.weight.flatten(1).chunk(2, dim=1)  # [G, G] each
        own = (by_channel * gates[:, :, None]).flatten(1, 2) @ flat  # [B, P * G, N]
        own = own.unflatten(1, gates.shape[1:])  # also of nobody
        assert self.fuse_attn.bias is not None and self.heatmap_conv.bias is not None
        own.addcmul_(places[:, :, None], (by_place @ flat)[:, None]).add_(self.fuse_attn.bias[:, None]).relu_()
        logits = self.heatmap_conv.weight.flatten(1) @ own
        return logits.add_(self.heatmap_conv.bias[:, None]).unflatten(-1, features.shape[-2:])


class SpatialAttention(nn.Module):
    """How much each place of an image belongs to a person, by its features and its distance.

    Args:
        channels: of the joined maps.
        inner: channels of the features.
    """

    grid_offset: Tensor

    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.atn = nn.Linear(channels, inner)
        self.conv = nn.Conv2d(3, 1, 5, padding=2)
        # mmpose 1.x measures from the middle of a cell, 0.5 here. It belongs to the weights: formats set it.
        self.register_buffer("grid_offset", torch.zeros(()))

    def forward(self, features: Tensor, people: Tensor, cells: Tensor) -> Tensor:
        """From 0 to 1, [B, P, H, W]; arguments as for `FeatureDecoupling`."""
        height, width = features.shape[-2:]
        similar = self.atn(people) @ features.flatten(2)  # [B, P, N]
        x, y = (
            (cells[..., axis, None] - torch.arange(length, device=cells.device) - self.grid_offset) / REACH
            for axis, length in ((0, width), (1, height))
        )  # [B, P, W] and [B, P, H]
        x, y = (one.to(similar.dtype) for one in (x, y))
        size = (*similar.shape[:2], height, width)
        stacked = torch.stack(
            [similar.view(size), x[:, :, None].expand(size), y[..., None].expand(size)], dim=2
        )  # [B, P, 3, H, W]
        return self.conv(stacked.flatten(0, 1)).view(size).sigmoid()


def gather_features(maps: Sequence[Tensor], cells: Tensor) -> Tensor:
    """The features of the joined maps at cells of the finest one, without joining the maps.

    Args:
        maps: [B, C_i, h_i, w_i], finest first.
        cells: [B, P, 2] (x, y), within the finest map.

    Returns:
        [B, P, sum of C_i].
    """
    height, width = maps[0].shape[-2:]
    flat = (cells[..., 1] * width + cells[..., 0])[:, None]  # [B, 1, P]
    found = [maps[0].flatten(2).gather(2, flat.expand(-1, maps[0].shape[1], -1))]
    # Bilinear enlarging reads a coarse map there, and the edge beyond it. Half precision would miss the place.
    exact = torch.promote_types(maps[0].dtype, torch.float32)
    grid = (2 * cells + 1).to(exact) / torch.tensor([width, height]).to(cells.device, non_blocking=True) - 1
    for x in maps[1:]:
        read = F.grid_sample(x.to(exact), grid[:, None], padding_mode="border", align_corners=False)
        found.append(read[:, :, 0].to(x.dtype))
    return torch.cat(found, dim=1).transpose(1, 2)


@HEADS.register_module()
class CIDHead(PosesHead):
    """Contextual instance decoupling: one centre a person, then that person's heatmaps (CVPR 2022, pages 11060-11068).

    Without a neck it computes the same as behind `Concat`, in less time and memory.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        scheme: the keypoints: a known name such as "coco", names, fields of a scheme, or a scheme; None takes them from
            the training data.
        channels: that a person's heatmaps are computed in: 32 for W32, 48 for W48.
        center_kernel: cells that heatmaps are averaged over before they are read, an odd number: 3, and 11 where
            weights of COCO look at OCHuman.
        threshold: what the heatmap of centres has to exceed where somebody is.
        smallest: square input pixels of a box below which a person's centre is not learnt; 0 for CrowdPose.
        masks: do not compare where a crowd is, or people of whom no keypoint is labelled.
        flip: "aligned" or, as the official training has it, "original": labels of mirrored images lie 3/4 of a cell to
            the left.

    Raises:
        OptionError: no scheme is given, it is not known, `center_kernel` is even, or an unknown `flip`.
    """

    targets = CenterTargets(stride=4, smallest=1024.0, flip="aligned")  # by default
    output_layers = MappingProxyType({"iia.keypoint_center_conv": 1, "gfd.heatmap_conv": 1})
    more_outputs = MappingProxyType({"iia.keypoint_center_conv": ("center of a person",)})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        channels: Count = 32,
        center_kernel: Count = 3,
        threshold: Share = 0.01,
        smallest: NotNegative = 1024.0,
        masks: bool = True,
        flip: Literal["aligned", "original"] = "aligned",
    ):
        super().__init__(scheme)
        if center_kernel % 2 == 0:
            raise OptionError(f"CIDHead: center_kernel is an odd number of cells, got {center_kernel}")
        if flip not in ("aligned", "original"):
            raise OptionError(f"CIDHead: flip is {flip!r}, expected 'aligned' or 'original'")
        self.stride = in_strides[0]
        self.center_kernel = center_kernel
        self.threshold = threshold
        self.targets = CenterTargets(self.stride, smallest, flip)
        joined, keypoints = sum(in_channels), len(self.scheme.names)
        self.iia = InstanceAbstraction(joined, keypoints)
        self.gfd = FeatureDecoupling(joined, keypoints, channels)
        # Only these start as the official layers do. With weights of 0.001 in all of them Adam's first steps, which are
        # as large, make the channels of a person's features alike, and it takes long until they part.
        for layer in (self.iia.keypoint_center_conv, self.gfd.heatmap_conv):
            nn.init.normal_(layer.weight, std=0.001)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, PRIOR)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits of everybody's keypoints and, last, centres, [B, K + 1, H, W] at the finest stride."""
        conv = self.iia.keypoint_center_conv
        return convolve_maps(maps, conv.weight, conv.bias)

    def person_logits(self, maps: list[Tensor], cells: Tensor) -> Tensor:
        """Logits of the heatmaps of people with given centres.

        Args:
            maps: of B inputs.
            cells: [B, P, 2] (x, y) of the finest map.

        Returns:
            [B, P, K, H, W].
        """
        return self.gfd(self._features(maps), gather_features(maps, cells), cells)

    def _features(self, maps: list[Tensor]) -> Tensor:
        conv = self.gfd.conv_down
        return convolve_maps(maps, conv.weight, conv.bias)

    def loss(self, maps: list[Tensor], targets: Listed, frames: Frame) -> dict[str, Tensor]:
        """Compare with what `CenterTargets` makes of each image."""
        return self.compare(maps, paint_targets(targets, (maps[0].shape[-2], maps[0].shape[-1])))

    def compare(self, maps: list[Tensor], painted: Painted) -> dict[str, Tensor]:
        """The losses of everybody's heatmaps, of those of single people, and of the likeness of people."""
        logits, down = self(maps), self._features(maps)
        heats, features = [], []
        for i, cells in enumerate(painted.cells):
            if len(cells):
                people = gather_features([x[i : i + 1] for x in maps], cells[None])
                heats.append(self.gfd(down[i : i + 1], people, cells[None])[0])
                features.append(people[0])
        counts = [len(cells) for cells in painted.cells]
        images = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(logits.device, non_blocking=True)
        mask = (painted.labelled & painted.learnt[:, None])[..., None, None]
        # Half precision rounds 1 - 1e-4 to 1, and its logarithm is not finite.
        with torch.autocast(logits.device.type, enabled=False):
            people = torch.cat(features).float()
            return {
                "count_everybody": ((painted.everybody == 1) & painted.use).sum(),
                "count_person": ((painted.people == 1) & mask).sum(),
                "count_contrast": painted.learnt.sum(),
                "loss_everybody": focal_loss(logits.float(), painted.everybody, painted.use),
                "loss_person": OF_ONE * focal_loss(torch.cat(heats).float(), painted.people, mask),
                "loss_contrast": contrastive_loss(people, images, painted.learnt),
            }

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`centers` [B, 1, h, w], a heatmap, and of 30 people `points` [B, 30, K, 2] in input pixels and their scores.

        These are `point_scores` [B, 30, K] and `scores` [B, 30]; the highest centre comes first, 0 is nobody.
        """
        assert sizes_hw is not None, "it reads sizes"
        looks, map_sizes = self._look(maps, flipped), (sizes_hw + self.stride - 1) // self.stride
        centers, cells, values = self._find_centers(looks, map_sizes)
        found = read_heatmaps(self._person_heatmaps(looks, cells), map_sizes, self.center_kernel)
        return {"centers": centers, **self._to_input(*found, values)}

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[Objects]:
        """Find the people of each image, the highest centre first.

        Args:
            maps: of B inputs.
            frames: of the inputs.
            flipped: maps of the mirrored inputs, to be averaged with.

        Returns:
            people with all their `points`, `point_scores` and `scores`; `boxes_xyxy` and `areas` are those that the
            points take up.
        """
        sizes_hw = -(-np.asarray(frames.input_hw, np.int64) // self.stride)
        map_sizes = torch.from_numpy(sizes_hw).to(maps[0].device, non_blocking=True)
        looks = self._look(maps, flipped)
        _, cells, values = self._find_centers(looks, map_sizes)
        records = []
        # As many people as there are, in an image without the padding of the batch.
        for i, count in enumerate((values > 0).sum(1).cpu().numpy()):
            one = slice(i, i + 1)
            heatmaps = self._person_heatmaps([look.of(i, sizes_hw[i]) for look in looks], cells[one, :count])
            if heatmaps.device.type == "cpu":
                places, heights = read_peaked(heatmaps, self.center_kernel)
            else:
                places, heights = read_heatmaps(heatmaps, map_sizes[one], self.center_kernel)
            found = self._to_input(places, heights, values[one, :count])
            records += self.read({name: value.cpu().numpy() for name, value in found.items()}, frames[one])
        return records

    def _look(self, maps: list[Tensor], flipped: list[Tensor] | None) -> list[_Look]:
        """What the layers that see whole images give, of the maps and of mirrored ones turned back."""
        center, down = self.iia.keypoint_center_conv, self.gfd.conv_down
        assert center.bias is not None and down.bias is not None
        weight, bias = torch.cat([center.weight[-1:], down.weight]), torch.cat([center.bias[-1:], down.bias])
        looks = []
        for one in (maps, None if flipped is None else [x.flip(-1) for x in flipped]):
            if one is not None:
                together = convolve_maps(one, weight, bias)
                looks.append(_Look(one, _heatmaps(together[:, :1]), together[:, 1:]))
        return looks

    def _find_centers(self, looks: Sequence[_Look], sizes_hw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The heatmap of centres [B, 1, h, w], cells [B, 30, 2] of its peaks, and how high they are [B, 30]."""
        centers = clear_beyond(torch.stack([look.centers for look in looks]).mean(0), sizes_hw)
        smoothed = clear_beyond(smooth(centers, self.center_kernel), sizes_hw)
        return centers, *find_centers(smoothed[:, 0], sizes_hw, self.threshold)

    def _person_heatmaps(self, looks: Sequence[_Look], cells: Tensor) -> Tensor:
        """Heatmaps [B, P * K, h, w] of the people with these centres [B, P, 2], the mean of both looks."""
        heatmaps = [_heatmaps(self.gfd(look.features, gather_features(look.maps, cells), cells)) for look in looks]
        if len(looks) == 2:
            heatmaps = [(heatmaps[0] + heatmaps[1][:, :, self.flip_order]) / 2]
        return heatmaps[0].flatten(1, 2)

    def _to_input(self, places: Tensor, heights: Tensor, values: Tensor) -> dict[str, Tensor]:
        """Points and scores, as `decode` gives them, of people whose centres are this high [B, P].

        Args:
            places: [B, P * K, 2] (x, y) in cells.
            heights: [B, P * K] of the heatmaps there.
            values: [B, P].
        """
        people = (values.shape[1], len(self.scheme.names))
        scores = heights.unflatten(1, people) * values[..., None]
        # Of the pixels that a cell stands for, 4 i to 4 i + 3, the one right of the middle, as in the official code.
        points = places.unflatten(1, people) * self.stride + self.stride / 2
        return {"points": points, "point_scores": scores, "scores": scores.mean(-1)}

    def draw_targets(self, images: Tensor, targets: Listed, frames: Frame) -> list[ndarray]:
        """Draw the highest of all heatmaps at each place over the images, dark where nothing is compared."""
        height, width = (-(-side // self.stride) for side in images.shape[-2:])
        painted = paint_targets(targets, (height, width), jitter=False)
        pictures = [
            dim_unused(picture, target["use"].numpy(), self.stride)
            for picture, target in zip(super().draw_targets(images, targets, frames), targets, strict=True)
        ]
        scale = (self.stride, self.stride)
        return [
            draw_heatmap(picture, heatmap, scale)
            for picture, heatmap in zip(pictures, painted.everybody.amax(1).numpy(), strict=True)
        ]

    def describe(self) -> Settings:
        return {
            "center_kernel": self.center_kernel,
            **super().describe(),
        }


def _heatmaps(logits: Tensor) -> Tensor:
    """Heatmaps of logits that nobody needs any more, not in half precision: neighbours of a peak would be as high."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).sigmoid_().clamp_(LEAST, MOST)


class _Look(NamedTuple):
    """What one pass of the network gives of whole images."""

    maps: list[Tensor]
    centers: Tensor  # [B, 1, h, w], a heatmap
    features: Tensor  # [B, G, h, w]

    def of(self, image: int, size_hw: ndarray) -> _Look:
        """Of one image, without the padding of the batch; the maps, from which single cells are taken, keep theirs."""
        one = slice(image, image + 1)
        features = self.features[one, :, : size_hw[0], : size_hw[1]]
        return _Look([x[one] for x in self.maps], self.centers[one], features)
