"""Region proposals: torchvision's network and sampling, with the anchors and matches that published weights expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection import _utils
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers

from hrtoolkit.tasks.detection.conventions import Convention
from hrtoolkit.tasks.detection.loss import box_loss

ANCHOR_SCALE = 8  # side of a square anchor, in strides
RATIOS = (0.5, 1.0, 2.0)  # height / width


def base_anchors(stride: int, kind: Literal["exact", "rounded", "authors", "detectron"]) -> Tensor:
    """The anchors of the first cell of a map, one for each of RATIOS: float32 [3, 4], x1, y1, x2, y2.

    Convention: "exact" (mmdetection 2 and 3) and "rounded" (torchvision) lie around the cell's corner, (0, 0). The
    authors' codes lie around the middle of its pixels, (stride - 1) / 2, and round: "authors" the corners, "detectron"
    the sides before they are scaled. Theirs count the last pixel in, so that one is added to their x2 and y2 here.
    """
    ratios = torch.tensor(RATIOS, dtype=torch.float64)
    side = torch.tensor([stride * ANCHOR_SCALE], dtype=torch.float64)
    sizes = torch.stack([side / ratios.sqrt(), side * ratios.sqrt()], dim=1)  # [3, 2], width and height
    if kind in ("exact", "rounded"):
        corners = torch.cat([-sizes, sizes], dim=1) / 2
        return (corners.round() if kind == "rounded" else corners).float()
    if kind == "detectron":
        widths = (stride**2 / ratios).sqrt().round()
        sizes = torch.stack([widths, (widths * ratios).round()], dim=1) * ANCHOR_SCALE
    corners = torch.cat([1 - sizes, sizes - 1], dim=1) / 2 + (stride - 1) / 2
    if kind == "authors":
        corners = corners.round()
    return (corners + torch.tensor([0.0, 0.0, 1.0, 1.0])).float()


class PyramidAnchors(AnchorGenerator):
    """Anchors of three shapes in every cell of every map.

    Args:
        strides: of the maps.
        convention: where anchors lie.
    """

    def __init__(self, strides: Sequence[int], convention: Convention):
        super().__init__(tuple((ANCHOR_SCALE * stride,) for stride in strides), (RATIOS,) * len(strides))
        self.cell_anchors = [base_anchors(stride, convention.anchors) for stride in strides]
        self.strides = strides
        self.fixed_strides = convention.fixed_strides

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Anchors [H * W * 3, 4] of each map, row by row, in pixels of the input."""
        grids = [x.shape[-2:] for x in maps]
        strides = [(stride, stride) for stride in self.strides]
        if not self.fixed_strides:
            height, width = (side * self.strides[0] for side in grids[0])
            strides = [(height // h, width // w) for h, w in grids]
        self.set_cell_anchors(torch.float32, maps[0].device)
        return self.grid_anchors(grids, strides)


class BoxCoder(_utils.BoxCoder):
    """Boxes as shifts and log factors of other boxes (Girshick et al., CVPR 2014), limited both ways if asked to.

    Args:
        weights: factors on the codes of x, y, width and height.
        clamp_shrinking: decoded boxes are at least 16 / 1000 of the reference, as they are at most 1000 / 16 of it.
    """

    def __init__(self, weights: tuple[float, float, float, float], clamp_shrinking: bool):
        super().__init__(weights)
        self.clamp_shrinking = clamp_shrinking

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        if self.clamp_shrinking:
            x, y, *sides = (rel_codes[:, column::4] for column in range(4))
            lowest = (weight * -self.bbox_xform_clip for weight in self.weights[2:])
            sides = [codes.clamp(min=low) for codes, low in zip(sides, lowest, strict=True)]
            rel_codes = torch.stack([x, y, *sides], dim=2).flatten(1)
        return super().decode_single(rel_codes, boxes)


class Matcher(_utils.Matcher):
    """torchvision's matcher, in which the best box of an object may belong to this object, as in mmdetection.

    Args:
        positive: overlap from which a box belongs to the object that it overlaps most.
        negative: overlap below which it is background.
        best: the best box of every object is positive, from an overlap of `best_iou` on.
        best_iou: see there.
        own: such a box belongs to that object (the last one, if to several) and not to the one it overlaps most.
    """

    def __init__(self, *, positive: float, negative: float, best: bool, best_iou: float, own: bool):
        super().__init__(positive, negative, allow_low_quality_matches=best)
        self.best_iou = best_iou
        self.own = own

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        if match_quality_matrix.shape[1] == 0:  # torchvision refuses; no anchor lies inside an image of 20 x 256
            return torch.empty(0, dtype=torch.int64, device=match_quality_matrix.device)
        return super().__call__(match_quality_matrix)

    def set_low_quality_matches_(self, matches: Tensor, all_matches: Tensor, match_quality_matrix: Tensor) -> None:
        if not self.own:
            return super().set_low_quality_matches_(matches, all_matches, match_quality_matrix)
        best = match_quality_matrix.max(dim=1, keepdim=True).values
        is_best = (match_quality_matrix == best) & (best >= self.best_iou)  # [objects, boxes]
        objects = torch.arange(len(is_best), device=is_best.device)[:, None]
        last = torch.where(is_best, objects, -1).max(dim=0).values
        matches[:] = torch.where(last >= 0, last, matches)


class ProposalNetwork(RegionProposalNetwork):
    """Where objects may be (Ren et al., NeurIPS 2015, arXiv:1506.01497).

    Differs from torchvision's in what `convention` says, and in work that is not done: only the anchors that survive
    the ranking are decoded, and only sampled ones are encoded.

    Args:
        channels: of every map.
        strides: of the maps.
        convention: of the weights.
    """

    def __init__(self, channels: int, strides: Sequence[int], convention: Convention):
        super().__init__(
            PyramidAnchors(strides, convention),
            RPNHead(channels, len(RATIOS)),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n=dict(zip(("training", "testing"), convention.pre_nms, strict=True)),
            post_nms_top_n=dict(zip(("training", "testing"), convention.post_nms, strict=True)),
            nms_thresh=0.7,
        )
        self.convention = convention
        self.strides = strides
        self.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0), convention.clamp_shrinking)
        self.proposal_matcher = Matcher(
            positive=0.7,
            negative=0.3,
            best=True,
            best_iou=convention.best_anchor_iou,
            own=convention.best_anchor_own,
        )

    def forward(
        self, maps: list[Tensor], sizes_hw: list[tuple[int, int]], targets: list[dict] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor | int]]:
        """Propose boxes, and compare them with the annotated ones where there are any.

        Args:
            maps: finest first.
            sizes_hw: height and width of each image without its padding.
            targets: one dict an image with `boxes` [G, 4].

        Returns:
            boxes [N, 4] for each image, best first, without gradient, and the losses.
        """
        objectness, deltas = self.head(maps)
        anchors_of_levels = self.anchor_generator(maps)
        counts = [len(anchors) for anchors in anchors_of_levels]
        anchors = torch.cat(anchors_of_levels)  # [A, 4]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        objectness = objectness.view(len(sizes_hw), -1)  # [B, A]
        deltas = deltas.view(len(sizes_hw), -1, 4)
        with torch.no_grad():
            best = self._get_top_n_idx(objectness, counts)  # [B, K], level by level
            chosen = deltas.gather(1, best[..., None].expand(-1, -1, 4))
            boxes = self.box_coder.decode_single(chosen.flatten(0, 1), anchors[best].flatten(0, 1)).view_as(chosen)
            kept = [min(count, self.pre_nms_top_n()) for count in counts]
            proposals, _ = self.filter_proposals(boxes, objectness.gather(1, best), sizes_hw, kept)
        losses: dict[str, Tensor | int] = {}
        if targets is not None:
            losses = self.compute_losses(objectness, deltas, anchors, sizes_hw, targets)
        return proposals, losses

    def compute_losses(
        self,
        objectness: Tensor,
        deltas: Tensor,
        anchors: Tensor,
        sizes_hw: list[tuple[int, int]],
        targets: list[dict],
    ) -> dict[str, Tensor | int]:
        """Compare sampled anchors with the annotated boxes.

        Args:
            objectness: logits [B, A].
            deltas: codes [B, A, 4].
            anchors: [A, 4] in pixels of the input.
            sizes_hw: of the images.
            targets: one dict an image with `boxes`.
        """
        sampled_logits, states_of, codes, true_codes = [], [], [], []
        for i, (size_hw, target) in enumerate(zip(sizes_hw, targets, strict=True)):
            usable = self.usable(anchors, size_hw)
            (states,), (matched,) = self.assign_targets_to_anchors([anchors[usable]], [target])
            (is_positive,), (is_negative,) = self.fg_bg_sampler([states])
            positive, negative = torch.where(is_positive)[0], torch.where(is_negative)[0]
            sampled = torch.cat([positive, negative])
            sampled_logits.append(objectness[i, usable[sampled]])
            states_of.append(states[sampled])
            codes.append(deltas[i, usable[positive]])
            true_codes.append(self.box_coder.encode_single(matched[positive], anchors[usable[positive]]))
        logits, labels = torch.cat(sampled_logits), torch.cat(states_of)
        count = len(labels)
        return {
            "loss_objectness": F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / max(count, 1),
            "loss_rpn_box_reg": box_loss(torch.cat(codes), torch.cat(true_codes), self.convention.rpn_beta, count),
            "count_objectness": count,
            "count_rpn_box_reg": count,
        }

    def usable(self, anchors: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Indices of the anchors that an image trains: in torchvision all, elsewhere not those of cells in padding."""
        if self.convention.inner_anchors:
            # The codes that count the last pixel in compare x2 - 1, as it is here, with the width.
            highest = anchors.new_tensor(size_hw[::-1]) + int(self.convention.last_pixel)
            return torch.where((anchors[:, :2] >= 0).all(1) & (anchors[:, 2:] < highest).all(1))[0]
        if not self.convention.fixed_strides:
            return torch.arange(len(anchors), device=anchors.device)
        # Cells that begin inside the image, which itself is padded to a multiple of 32.
        highest = anchors.new_tensor([-(-side // 32) * 32 for side in size_hw[::-1]])
        return torch.where(((anchors[:, :2] + anchors[:, 2:]) / 2 < highest).all(1))[0]
