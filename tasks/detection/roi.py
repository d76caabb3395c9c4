"""From proposals to classes, boxes and masks: torchvision's RoIHeads, of which a cascade has several in a row."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import MultiScaleRoIAlign, clip_boxes_to_image, roi_align
from torchvision.ops.poolers import LevelMapper

from hrtoolkit.tasks.detection.conventions import Convention
from hrtoolkit.tasks.detection.loss import box_loss, mask_loss, mask_targets
from hrtoolkit.tasks.detection.rpn import BoxCoder, Matcher

POOLED_LEVELS = 4  # RoIs are read from strides 4 to 32; the coarsest map only makes proposals


def join_images(boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Boxes [N, 4] of each image as one tensor [R, 4], after the image of each, int64 [R]."""
    lengths = [len(one) for one in boxes]
    images = torch.repeat_interleave(torch.arange(len(boxes)), torch.tensor(lengths), output_size=sum(lengths))
    return images.to(boxes[0].device), torch.cat(boxes)


class PyramidRoIAlign(MultiScaleRoIAlign):
    """Resample each RoI from the map that fits its size (Lin et al., CVPR 2017, arXiv:1612.03144, Eq. 1).

    Scales follow from the strides: torchvision guesses them from the first image, wrongly if that is small and padded.

    Args:
        size: rows and columns of the result.
        strides: of the maps.
        convention: how cells are sampled.
    """

    def __init__(self, size: int, strides: Sequence[int], convention: Convention):
        super().__init__([str(level) for level in range(len(strides))], size, convention.roi_samples)
        self.scales = [1 / stride for stride in strides]
        self.map_levels = LevelMapper(int(log2(strides[0])), int(log2(strides[-1])))
        self.aligned = convention.roi_aligned

    def forward(self, maps: list[Tensor], images: Tensor, boxes: Tensor) -> Tensor:
        """Pool RoIs from maps of a batch.

        Args:
            maps: [B, C, H, W] each, finest first.
            images: int64 [R], which image of the batch each RoI is in.
            boxes: [R, 4] (x1, y1, x2, y2), in pixels of the input.

        Returns:
            [R, C, size, size].
        """
        rois = torch.cat([images.to(boxes)[:, None], boxes], dim=1)
        levels = self.map_levels([boxes])
        pooled = maps[0].new_zeros(rois.shape[0], maps[0].shape[1], *self.output_size)
        for level, (x, scale) in enumerate(zip(maps, self.scales, strict=True)):
            here = torch.where(levels == level)[0]
            pooled[here] = roi_align(x, rois[here], self.output_size, scale, self.sampling_ratio, self.aligned)
        return pooled


class RoIStage(RoIHeads):
    """One round of classifying and refining boxes (Ren et al., NeurIPS 2015; Cai and Vasconcelos, CVPR 2018).

    Labels are 1 to C here, and 0 is background.

    Args:
        channels: of every map.
        strides: of the maps that RoIs are read from.
        num_classes: C, without the background.
        convention: of the weights.
        iou: overlap from which a proposal is positive.
        box_weights: factors on the codes of x, y, width and height.
        class_agnostic: one refined box a proposal instead of one a class.
        masks: also predict a mask a class.
        best_roi: the best proposal of an object is positive from `iou` on, and belongs to it.
        samples: proposals an image that are trained, a quarter of them positive where there are as many.
        mask_channels: of the layers that predict masks.
    """

    def __init__(
        self,
        *,
        channels: int,
        strides: Sequence[int],
        num_classes: int,
        convention: Convention,
        iou: float = 0.5,
        box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0),
        class_agnostic: bool = False,
        masks: bool = False,
        best_roi: bool = False,
        samples: int = 512,
        mask_channels: int = 256,
    ):
        predictor = FastRCNNPredictor(1024, num_classes + 1)
        if class_agnostic:
            predictor.bbox_pred = nn.Linear(1024, 4)
        super().__init__(
            PyramidRoIAlign(7, strides, convention),
            TwoMLPHead(channels * 7**2, 1024),
            predictor,
            fg_iou_thresh=iou,
            bg_iou_thresh=iou,
            batch_size_per_image=samples,
            positive_fraction=0.25,
            bbox_reg_weights=box_weights,
            score_thresh=0.05,
            nms_thresh=0.5,
            detections_per_img=100,
            mask_roi_pool=PyramidRoIAlign(14, strides, convention) if masks else None,
            mask_head=MaskRCNNHeads(channels, (mask_channels,) * 4, 1) if masks else None,
            mask_predictor=MaskRCNNPredictor(mask_channels, mask_channels, num_classes + 1) if masks else None,
        )
        self.convention = convention
        self.class_agnostic = class_agnostic
        self.box_coder = BoxCoder(box_weights, convention.clamp_shrinking)
        self.proposal_matcher = Matcher(positive=iou, negative=iou, best=best_roi, best_iou=iou, own=True)
        # As mmdetection and the authors; torchvision leaves its defaults.
        for layer in (self.box_head.fc6, self.box_head.fc7):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer, std in ((predictor.cls_score, 0.01), (predictor.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def boxes(self, maps: list[Tensor], images: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits [R, C + 1] and box codes of RoIs [R, 4] in the images [R] of a batch."""
        return self.box_predictor(self.box_head(self.box_roi_pool(maps, images, rois)))

    def masks(self, maps: list[Tensor], images: Tensor, rois: Tensor) -> Tensor:
        """Mask logits [R, C + 1, 28, 28] of RoIs [R, 4] in the images [R] of a batch."""
        return self.mask_predictor(self.mask_head(self.mask_roi_pool(maps, images, rois)))

    def loss(
        self, maps: list[Tensor], proposals: list[Tensor], sizes_hw: list[tuple[int, int]], targets: list[dict]
    ) -> tuple[dict[str, Tensor | int], list[Tensor]]:
        """Compare sampled proposals with the annotated objects.

        Args:
            maps: those that RoIs are read from.
            proposals: [N, 4] for each image.
            sizes_hw: of the images.
            targets: one dict an image with `boxes` [G, 4], `labels` [G] from 1 on, and `masks` uint8 [G, H, W] where
                masks are trained.

        Returns:
            the losses, and the refined boxes of each image for the next stage.
        """
        proposals, matched, labels, codes = self.select_training_samples(proposals, targets)
        logits, deltas = self.boxes(maps, *join_images(proposals))
        joined = torch.cat(labels)
        positive = torch.where(joined > 0)[0]
        of_class = deltas.unflatten(1, (-1, 4))[positive, 0 if self.class_agnostic else joined[positive]]
        losses: dict[str, Tensor | int] = {
            # The mean, which is not defined where there is neither a proposal nor an object.
            "loss_classifier": F.cross_entropy(logits, joined, reduction="sum") / max(len(joined), 1),
            "loss_box_reg": box_loss(of_class, torch.cat(codes)[positive], self.convention.box_beta, len(joined)),
            "count_classifier": len(joined),
            "count_box_reg": len(joined),
        }
        if self.has_mask():
            chosen = [torch.where(one > 0)[0] for one in labels]
            boxes = [one[index] for one, index in zip(proposals, chosen, strict=True)]
            mask_logits = self.masks(maps, *join_images(boxes))
            size = mask_logits.shape[-1]
            true_masks = [
                mask_targets(target["masks"], box, match[index], size, self.convention.masks)
                for target, box, match, index in zip(targets, boxes, matched, chosen, strict=True)
            ]
            losses["loss_mask"] = mask_loss(mask_logits, joined[positive], torch.cat(true_masks))
            losses["count_mask"] = len(positive)
        if not self.class_agnostic:
            return losses, proposals
        refined = self.refine(deltas.detach(), proposals, sizes_hw)
        # Annotated boxes, which were among the proposals, are left out: each stage adds them anew.
        found = []
        for new, old, index, target in zip(refined, proposals, matched, targets, strict=True):
            true_boxes = target["boxes"]
            found.append(new[(old != true_boxes[index]).any(1)] if len(true_boxes) else new)
        return losses, found

    def refine(self, deltas: Tensor, boxes: list[Tensor], sizes_hw: list[tuple[int, int]]) -> list[Tensor]:
        """Apply class-agnostic codes [N, 4] of all images to their boxes, and clip them to the images."""
        moved = self.box_coder.decode_single(deltas, torch.cat(boxes)).split([len(b) for b in boxes])
        return [clip_boxes_to_image(b, size) for b, size in zip(moved, sizes_hw, strict=True)]

    def detect(
        self, logits: Tensor, deltas: Tensor, proposals: list[Tensor], sizes_hw: list[tuple[int, int]]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Boxes [N, 4] in pixels of the input, scores [N] and labels [N] (from 1 on) of each image, best first."""
        if self.class_agnostic:
            deltas = deltas.repeat(1, logits.shape[1])
        return self.postprocess_detections(logits, deltas, proposals, sizes_hw)


def draw_masks(stages: Sequence[RoIStage], maps: list[Tensor], images: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """Probabilities [R, 28, 28] of the labels [R], from 1 on, of boxes [R, 4] in the images [R]; a mean of stages."""
    index = torch.arange(labels.shape[0], device=labels.device)
    total = sum(stage.masks(maps, images, boxes)[index, labels].sigmoid() for stage in stages)
    assert isinstance(total, Tensor), "there are stages"
    return total / len(stages)
