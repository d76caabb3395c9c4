"""DEKR: the middle of a person says where the joints are, each by features of its own (arXiv:2104.02300, CVPR 2021)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.backbones.hrnet import BasicBlock
from hrtoolkit.checkpoints import load_fitting
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame
from hrtoolkit.necks import convolve_joined
from hrtoolkit.parts import Listed
from hrtoolkit.ranges import Count, NotNegative, Positive, Share
from hrtoolkit.records import Objects
from hrtoolkit.registry import HEADS
from hrtoolkit.schemes import SchemeLike
from hrtoolkit.tasks.bottom_up.adaptive import AdaptiveBlock
from hrtoolkit.tasks.bottom_up.dekr_targets import (
    People,
    find_offsets,
    gather_people,
    heatmap_loss,
    offset_loss,
    paint_peaks,
    weigh_cells,
)
from hrtoolkit.tasks.bottom_up.heads import PosesHead, sizes_of
from hrtoolkit.tasks.bottom_up.inference import Seen
from hrtoolkit.tasks.bottom_up.peaks import MOST_PEOPLE, clear_beyond, find_centers
from hrtoolkit.tasks.bottom_up.poses import (
    MATCH_SCORE,
    enlarge,
    find_near,
    keep_as_official,
    keep_best,
    move_onto_peaks,
    refine,
    sample_heights,
)
from hrtoolkit.tasks.bottom_up.rescoring import RescoringNet
from hrtoolkit.tasks.bottom_up.targets import draw_people, fit_use, people_targets

JOINT_CHANNELS = 15  # features of each joint, in W32 and W48 alike
JOINT_SIGMA = 2.0  # cells
LEAST = 1e-6  # score of somebody who is found
SMALLEST = 32.0  # input pixels: who is smaller, such as a single joint, weighs like somebody of that diagonal


class Look(NamedTuple):
    """What the network says of B inputs at one scale."""

    heatmaps: Tensor  # [B, K + 1, h, w], the centre last
    offsets: Tensor  # [B, 2K, h, w]: cell minus joint, (x, y) of joint after joint
    mirrored: list[Tensor] | None  # both, of the mirrored inputs
    stride: float  # pixels of the inputs at scale 1 from cell to cell

    def average(self, channels: slice, order: Sequence[int]) -> Tensor:
        """Heatmaps of some channels, with those of the mirrored inputs, whose channels have an order."""
        heatmaps = self.heatmaps[:, channels]
        return heatmaps if self.mirrored is None else (heatmaps + self.mirrored[0][:, order].flip(-1)) / 2


@HEADS.register_module()
class DEKRHead(PosesHead):
    """Bottom-up pose by disentangled keypoint regression (arXiv:2104.02300).

    Convention: cell i of a map lies on input pixel `stride` * i. Mirrored inputs are moved to the left by `stride` - 1
    pixels before the network sees them, so that cells come to lie on cells.

    Args:
        in_channels: channels of each map received, finest first. Without a neck the head computes what it does behind
            `Concat`, in less time.
        in_strides: their strides.
        scheme: the keypoints: a known name such as "coco", names, fields of a scheme, or a scheme; None takes them from
            the training data.
        channels: inside the heatmap branch: the width of the published networks.
        center_sigma: of the heatmap of centres in cells. The published CrowdPose weights were trained with 2, which was
            a slip.
        offset_weight: of the loss of offsets, whose cells weigh 1 / diagonal of the person in input pixels. The
            official 0.03 belongs to another measure, the distance of the farthest joint from the corner of the image,
            which is three times as long in the median; mmpose has 0.008 (COCO) and 0.016 (CrowdPose) in these units.
        smallest_area: square pixels of the image, annotated; smaller people have no centre. 1024 in the official COCO
            training, 0 for CrowdPose.
        flip: "original" paints the joints of mirrored training inputs `stride` - 1 pixels too far to the left, as the
            official code does.
        masks: do not compare where a crowd is, or people of whom no keypoint is labelled.
        threshold: height of the heatmap of centres from which somebody is found.
        nms_distance: joints of two poses nearer than this share of a pose's diagonal are taken for one; 0.15 at several
            scales in the published tables.
        nms: "greedy" goes by the scores, "original" by the heights of the joints in the official order.
        scale_decay: what scores at other scales than 1 are multiplied by; 0.9 for COCO, 0.8 for CrowdPose.
        match: move joints onto the peaks of their heatmaps, as in the second table of the official page.
        rescore: true has a net for that among the weights of the head (published for COCO and CrowdPose); a path is
            that of the official release's file. mmpose's has the same names in another order: take its net from its
            checkpoint of the whole model.

    Raises:
        OptionError: no scheme is given or known, or an option is none of those above.
    """

    targets = staticmethod(people_targets)
    output_layers = MappingProxyType(
        {
            "head_heatmap.1": 1,
            "transition_offset.0": JOINT_CHANNELS,
            "transition_offset.1": JOINT_CHANNELS,
            **{f"offset_feature_layers.{i}.transform_matrix_conv": 6 for i in (0, 1)},
            **{f"offset_feature_layers.{i}.{part}": JOINT_CHANNELS for i in (0, 1) for part in ("adapt_conv", "bn")},
            "offset_final_layer": 2,
        }
    )

    more_outputs = MappingProxyType({"head_heatmap.1": ("center",)})

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        channels: Count = 32,
        center_sigma: Positive = 4.0,
        offset_weight: NotNegative = 0.01,
        smallest_area: NotNegative = 1024.0,
        flip: Literal["aligned", "original"] = "aligned",
        masks: bool = True,
        threshold: Share = 0.01,
        nms_distance: NotNegative = 0.05,
        nms: Literal["greedy", "original"] = "greedy",
        scale_decay: Share = 0.9,
        match: bool = False,
        rescore: bool | str = False,
    ):
        super().__init__(scheme)
        for name, value, choices in (("flip", flip, ("aligned", "original")), ("nms", nms, ("greedy", "original"))):
            if value not in choices:
                raise OptionError(f"DEKRHead: {name} is {value!r}, expected one of {choices}")
        self.stride = in_strides[0]
        self.flip_shift = self.stride - 1
        self.label_shift = self.flip_shift if flip == "original" else 0
        self.center_sigma, self.offset_weight, self.smallest_area = center_sigma, offset_weight, smallest_area
        self.threshold, self.nms_distance, self.nms = threshold, nms_distance, nms
        self.scale_decay, self.match = scale_decay, match
        joints = len(self.scheme.names)
        joined, features = sum(in_channels), JOINT_CHANNELS * joints
        # Named as in the official release, but for what is a layer a joint there.
        self.transition_heatmap = _mix(joined, channels)
        self.head_heatmap = nn.Sequential(nn.Sequential(BasicBlock(channels)), nn.Conv2d(channels, joints + 1, 1))
        self.transition_offset = _mix(joined, features)
        self.offset_final_layer = nn.Conv2d(features, 2 * joints, 1, groups=joints)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.offset_feature_layers = nn.Sequential(*(AdaptiveBlock(JOINT_CHANNELS, joints) for _ in range(2)))
        self.rescore_net = RescoringNet(joints) if rescore else None
        if self.rescore_net is not None and isinstance(rescore, str):
            load_fitting(self.rescore_net, rescore)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Heatmaps [B, K + 1, H, W], of the centre last, and offsets [B, 2K, H, W] in cells, (x, y) of each joint."""
        heatmaps = self.head_heatmap(_narrow(maps, self.transition_heatmap))
        x = self.offset_feature_layers(_narrow(maps, self.transition_offset))
        return [heatmaps.contiguous(), self.offset_final_layer(x).contiguous()]

    def loss(self, maps: list[Tensor], targets: Listed, frames: Frame) -> dict[str, Tensor]:
        """Compare with the people of each image, see `people_targets`."""
        heatmaps, offsets = (output.float() for output in self(maps))
        size_hw = (heatmaps.shape[-2], heatmaps.shape[-1])
        people = gather_people(targets, self.stride, self.smallest_area, self.label_shift)
        painted = self._paint(people, size_hw)
        use = torch.stack([fit_use(one["use"], size_hw, self.stride) for one in targets])
        sizes = (people.diagonals * self.stride).clamp(min=SMALLEST)
        places, true, weights = find_offsets(people, sizes, size_hw)
        batch, number, joints, cells, _ = true.shape
        said = offsets.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, offsets.shape[1], -1))
        said = said.view(batch, joints, 2, number, cells).permute(0, 3, 1, 4, 2)  # as `true`
        weights = weights[..., None].expand_as(true)
        return {
            "loss_heatmap": heatmap_loss(heatmaps, painted, weigh_cells(painted, use)),
            "loss_offset": self.offset_weight * offset_loss(said, true, weights),
            "count_offset": (weights > 0).sum(),
        }

    def _paint(self, people: People, size_hw: tuple[int, int]) -> Tensor:
        """Heatmaps [B, K + 1, H, W] of the joints and, last, the centres."""
        joints = paint_peaks(people.joints, people.labelled, JOINT_SIGMA, size_hw)
        centers = paint_peaks(people.centers[:, :, None], people.found[..., None], self.center_sigma, size_hw)
        return torch.cat([joints, centers], dim=1)

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[Objects]:
        """Find everybody.

        Args:
            maps: of B inputs.
            frames: of the inputs.
            flipped: maps of the mirrored inputs, to be averaged with.

        Returns:
            the people of each image, best first; `point_scores` are the heights of the heatmaps at their joints.
        """
        found = self.decode(maps, flipped, sizes_of(frames, maps[0].device))
        return self.read({name: found[name].cpu().numpy() for name in ("points", "point_scores", "scores")}, frames)

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`heatmaps` and `offsets`, see `forward`, and of 30 people `points` [B, 30, K, 2] in input pixels.

        With them go `point_scores` [B, 30, K], the heights of the heatmaps there, and `scores` [B, 30], 0 where nobody
        is.
        """
        assert sizes_hw is not None, "it reads sizes"
        look = self._look(maps, flipped)
        height, width = (length * self.stride for length in look.heatmaps.shape[-2:])
        found = self._find_people([look], [1.0], (height, width), sizes_hw)
        return {"heatmaps": look.heatmaps, "offsets": look.offsets, **found}

    def decode_scales(self, seen: Iterable[Seen], input_hw: tuple[int, int], sizes_hw: Tensor) -> dict[str, Tensor]:
        """As `decode`, of several scales: people are found at each, and scored by the mean of the heatmaps of all.

        Args:
            seen: maps at each scale.
            input_hw: of the batch at scale 1.
            sizes_hw: [B, 2], of the inputs at scale 1.
        """
        looks, scales = [], []
        for one in seen:
            looks.append(self._look(one.maps, one.flipped, one.scale))
            scales.append(one.scale)
        return self._find_people(looks, scales, input_hw, sizes_hw)

    def _look(self, maps: list[Tensor], flipped: list[Tensor] | None, scale: float = 1.0) -> Look:
        heatmaps, offsets = (output.float() for output in self(maps))
        mirrored = None if flipped is None else [output.float() for output in self(flipped)]
        return Look(heatmaps, offsets, mirrored, self.stride / scale)

    def _find_people(
        self, looks: Sequence[Look], scales: Sequence[float], input_hw: tuple[int, int], sizes_hw: Tensor
    ) -> dict[str, Tensor]:
        """The `points`, `point_scores` and `scores` that `decode` gives."""
        points, centers = self._find_poses(looks, scales, sizes_hw)
        heights = torch.stack([self._read_heights(look, points, sizes_hw) for look in looks]).mean(0)
        # Heatmaps may lie below 0; who is found at all has a score above it.
        ranks = heights.mean(-1).clamp(min=LEAST) * (centers if self.nms == "greedy" else centers > 0)
        near = find_near(points, self.nms_distance, len(self.flip_order) // 2)
        kept = (keep_best if self.nms == "greedy" else keep_as_official)(near, ranks)
        ranks, order = (ranks * kept).topk(min(MOST_PEOPLE, ranks.shape[1]))
        points, heights, centers = _pick(order, points, heights, centers)
        joint_scores = heights * centers[..., None]
        if self.match:
            points = self._match(points, joint_scores, looks, input_hw, sizes_hw)
        scores = joint_scores.mean(-1)
        if self.rescore_net is not None:
            scores = (self.rescore_net(points, joint_scores) * scores).nan_to_num()
        scores, order = (scores.clamp(min=LEAST) * (ranks > 0)).topk(scores.shape[1])
        points, heights = _pick(order, points, heights)
        return {"points": points, "point_scores": heights, "scores": scores}

    def _find_poses(self, looks: Sequence[Look], scales: Sequence[float], sizes_hw: Tensor) -> tuple[Tensor, Tensor]:
        """Poses [B, P, K, 2] of the highest centres of each scale, and how high these are, [B, P]; 0 where none is."""
        found = []
        for look in looks:
            map_sizes = (sizes_hw / look.stride).ceil().long()
            maps = clear_beyond(look.average(slice(-1, None), [-1]), map_sizes)
            cells, centers = find_centers(maps[:, 0], map_sizes, self.threshold)
            found.append((regress(look, cells, self.flip_order) * look.stride, centers))
        highest = [centers.amax(1, keepdim=True) for _, centers in found]
        usual = highest[scales.index(1)]
        usual = torch.where(usual > 0, usual, 1)
        values = [
            one if scale == 1 else one / highest[i].clamp(min=LEAST) * usual * self.scale_decay
            for i, ((_, one), scale) in enumerate(zip(found, scales, strict=True))
        ]
        return torch.cat([points for points, _ in found], dim=1), torch.cat(values, dim=1)

    def _read_heights(self, look: Look, points: Tensor, sizes_hw: Tensor) -> Tensor:
        """How high the heatmaps are at points [B, P, K, 2], [B, P, K]."""
        heights = sample_heights(look.heatmaps[:, :-1], points, look.stride, sizes_hw)
        if look.mirrored is None:
            return heights
        turned = sample_heights(look.mirrored[0][:, :-1], points[:, :, self.flip_order], look.stride, sizes_hw, True)
        return (heights + turned[:, :, self.flip_order]) / 2

    def _match(
        self, points: Tensor, scores: Tensor, looks: Sequence[Look], input_hw: tuple[int, int], sizes_hw: Tensor
    ) -> Tensor:
        """Points on the peaks of the heatmaps, where there are some near."""
        averaged = [look.average(slice(None, -1), self.flip_order) for look in looks]
        enlarged = [enlarge(one, look.stride, input_hw) for one, look in zip(averaged, looks, strict=True)]
        maps = clear_beyond(torch.stack(enlarged).mean(0), sizes_hw)
        points = move_onto_peaks(points, maps)
        return torch.where((scores > MATCH_SCORE)[..., None], refine(points, maps, self.stride), points)

    def adapt(self, tensors: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], list[str]]:
        """Files need not have a rescoring net where this head has one, nor this head where a file has one."""
        there = {name for name in tensors if name.startswith("rescore_net.")}
        if there and self.rescore_net is None:
            note = "left out the net that rescores people: model.head.rescore=True takes it over"
            return {name: tensor for name, tensor in tensors.items() if name not in there}, [note]
        if self.rescore_net is not None and tensors and not there:
            own = {f"rescore_net.{name}": tensor for name, tensor in self.rescore_net.state_dict().items()}
            return tensors | own, ["it has no net that rescores people: that of the model stays as it is"]
        return tensors, []

    def draw_targets(self, images: Tensor, targets: Listed, frames: Frame) -> list[ndarray]:
        return draw_people(images, targets, self.scheme)


def regress(look: Look, cells: Tensor, flip_order: Sequence[int]) -> Tensor:
    """Where the joints of the people are who have their centres at cells [B, P, 2] (x, y): [B, P, K, 2], in cells."""
    width = look.offsets.shape[-1]
    x, y = cells.unbind(-1)
    poses = cells[:, :, None] - _gather_offsets(look.offsets, x, y)
    if look.mirrored is None:
        return poses
    x = width - 1 - x
    turned = torch.stack([x, y], dim=-1)[:, :, None] - _gather_offsets(look.mirrored[1], x, y)
    turned = turned[:, :, flip_order]
    return (poses + torch.stack([width - 1 - turned[..., 0], turned[..., 1]], dim=-1)) / 2


def _gather_offsets(offsets: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Offsets [B, P, K, 2] at cells, whose x and y are [B, P]."""
    places = (y * offsets.shape[-1] + x)[:, None].expand(-1, offsets.shape[1], -1)
    return offsets.flatten(2).gather(2, places).unflatten(1, (-1, 2)).permute(0, 3, 1, 2)


def _pick(order: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors [B, P, ...] at places [B, M] of their second axis."""
    picked = []
    for one in tensors:
        index = order.view(*order.shape, *[1] * (one.ndim - 2))
        picked.append(one.gather(1, index.expand(-1, -1, *one.shape[2:])))
    return tuple(picked)


def _mix(channels: int, out_channels: int) -> nn.Sequential:
    """A 1x1 convolution of the joined maps."""
    return nn.Sequential(nn.Conv2d(channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU(True))


def _narrow(maps: list[Tensor], transition: nn.Sequential) -> Tensor:
    """What a 1x1 convolution, its BatchNorm and a ReLU give of the joined maps."""
    conv, norm, relu = transition
    assert isinstance(conv, nn.Conv2d), "the first of the three"
    return relu(convolve_joined(maps, conv, norm))
