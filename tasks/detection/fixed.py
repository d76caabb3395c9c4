"""Detection as one graph, as exports need it: every image has as many boxes as the others, and some are there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from hrtoolkit.suppression import suppress
from hrtoolkit.tasks.detection.roi import POOLED_LEVELS, RoIStage, draw_masks
from hrtoolkit.tasks.detection.rpn import ProposalNetwork

SMALLEST = 1e-2  # side of a box that is found, in pixels of the input, as in torchvision
NOT_THERE = -1e30  # logit of a box that suppression shall not see


def propose(rpn: ProposalNetwork, maps: list[Tensor], limits: Tensor) -> tuple[Tensor, Tensor]:
    """Proposals [B, K, 4], best first, and which are there, bool [B, K].

    Args:
        rpn: the proposal network.
        maps: finest first.
        limits: [B, 4], width, height, width, height of the images.
    """
    boxes, scores = [], []  # logits: the sigmoid of ONNX Runtime now and then exchanges near ones
    for logits, codes, anchors in zip(*rpn.head(maps), rpn.anchor_generator(maps), strict=True):
        best, places = _best_anchors(logits, rpn.pre_nms_top_n())
        there = places < anchors.shape[0]
        places = places.clamp(max=anchors.shape[0] - 1)
        codes = codes.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)  # [B, A, 4]
        codes = codes.gather(1, places[..., None].expand(-1, -1, 4))
        decoded = rpn.box_coder.decode_single(codes.flatten(0, 1), anchors[places].flatten(0, 1))
        decoded = _clip(decoded.view_as(codes), limits[:, None])
        there &= _is_large(decoded, rpn.min_size) & (best.sigmoid() >= rpn.score_thresh)
        boxes.append(decoded.where(there[..., None], 0))
        scores.append(best.where(there, NOT_THERE))
    joined, values, most = torch.stack(boxes, dim=1), torch.stack(scores, dim=1), rpn.post_nms_top_n()
    kept = suppress(joined.flatten(0, 1), values.flatten(0, 1), rpn.nms_thresh, NOT_THERE / 2, most)
    values, order = values.where(kept.view_as(values), NOT_THERE).flatten(1).topk(most)
    return _take(joined.flatten(1, 2), order), values > NOT_THERE / 2


def detect(rpn: ProposalNetwork, stages: Sequence[RoIStage], maps: list[Tensor], sizes_hw: Tensor) -> dict[str, Tensor]:
    """Find the objects: `boxes` [B, N, 4], `labels` [B, N] from 0 on, -1 for none, `scores` [B, N], and `masks`.

    Args:
        rpn: the proposal network.
        stages: run one after the other.
        maps: [B, C, H, W] each, finest first.
        sizes_hw: int64 [B, 2], of the images without a batch's padding.
    """
    limits = sizes_hw.flip(1).repeat(1, 2).float()
    boxes, there = propose(rpn, maps, limits)
    maps = maps[:POOLED_LEVELS]
    images, places = there.nonzero(as_tuple=True)  # of the R proposals that are there: the others cost no time
    rois = boxes[images, places]
    logits, codes = stages[0].boxes(maps, images, rois)
    for before, stage in pairwise(stages):
        rois = _clip(before.box_coder.decode_single(codes, rois), limits[images])
        more, codes = stage.boxes(maps, images, rois)
        logits = logits + more
    last, classes = stages[-1], logits.shape[1] - 1
    of_roi = (logits / len(stages)).softmax(-1)[:, 1:]
    moved = last.box_coder.decode_single(codes, rois).unflatten(1, (-1, 4))
    moved = _clip(moved[:, -classes:].expand(-1, classes, -1), limits[images][:, None])
    scores = of_roi.new_zeros(*there.shape, classes).index_put((images, places), of_roi)  # [B, K, C]
    boxes = moved.new_zeros(*scores.shape, 4).index_put((images, places), moved)
    found = _best_of_classes(boxes, scores, last)
    if last.has_mask():
        images, places = (found["labels"] >= 0).nonzero(as_tuple=True)
        boxes, rows = (found[name][images, places] for name in ("boxes", "labels"))
        drawn = draw_masks(stages, maps, images, boxes, rows + 1)
        found["masks"] = drawn.new_zeros(*there.shape[:1], last.detections_per_img, *drawn.shape[1:])
        found["masks"] = found["masks"].index_put((images, places), drawn)
    return found


def _best_of_classes(boxes: Tensor, scores: Tensor, last: RoIStage) -> dict[str, Tensor]:
    """Suppress the boxes [B, K, C, 4] of each class, and take the best of all."""
    scores = scores.where(_is_large(boxes, SMALLEST), 0)
    boxes = boxes.where((scores > last.score_thresh)[..., None], 0)
    kept = suppress(
        boxes.transpose(1, 2).flatten(0, 1),
        scores.transpose(1, 2).flatten(0, 1),
        last.nms_thresh,
        last.score_thresh,
        last.detections_per_img,
    )
    kept = kept.unflatten(0, (-1, scores.shape[2])).transpose(1, 2)
    scores, order = scores.where(kept, 0).flatten(1).topk(last.detections_per_img)
    return {
        "scores": scores,  # first: boxes of nearly equal scores change places
        "boxes": _take(boxes.flatten(1, 2), order),
        "labels": (order % boxes.shape[2]).where(scores > 0, -1),
    }


def _best_anchors(logits: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The best `most` logits of a map [B, R, H, W] and which anchors they are of; none of them if it has fewer.

    NaN counts as the highest, as in torch, whatever a backend thinks of it.
    """
    rows = logits.permute(0, 2, 3, 1).flatten(1)
    _, places = F.pad(rows.where(~rows.isnan(), torch.inf), (0, most), value=-torch.inf).topk(most)
    return F.pad(rows, (0, most)).gather(1, places), places


def _take(boxes: Tensor, order: Tensor) -> Tensor:
    return boxes.gather(1, order[..., None].expand(-1, -1, 4))


def _clip(boxes: Tensor, limits: Tensor) -> Tensor:
    return boxes.clamp(min=0).minimum(limits)


def _is_large(boxes: Tensor, side: float) -> Tensor:
    """False for NaN too."""
    return (boxes[..., 2] - boxes[..., 0] >= side) & (boxes[..., 3] - boxes[..., 1] >= side)
