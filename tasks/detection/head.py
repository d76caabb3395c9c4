"""Detection heads: from pyramid maps to boxes, and masks if wanted, in pixels of the original images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from hrtoolkit.tasks.detection.checkpoints import convert
from hrtoolkit.tasks.detection.classes import COCO, resolve_classes
from hrtoolkit.tasks.detection.conventions import CASCADE_CONVENTIONS, CONVENTIONS, Convention
from hrtoolkit.tasks.detection.postprocess import paste_masks, scale_boxes
from hrtoolkit.tasks.detection.roi import POOLED_LEVELS, RoIStage
from hrtoolkit.tasks.detection.rpn import ProposalNetwork
from torch import Tensor, nn

from hrtoolkit.errors import DataError, shorten
from hrtoolkit.registry import MODELS
from hrtoolkit.visualization import draw_boxes

CASCADE_IOUS = (0.5, 0.6, 0.7)
# 1 / 0.1, 1 / 0.05 and 1 / 0.033; sizes count half.
CASCADE_BOX_WEIGHTS = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067))
CASCADE_LOSS_WEIGHTS = (1.0, 0.5, 0.25)


class RCNNHead(nn.Module):
    """Proposals, then one or more stages of classifying and refining; everything is float32, whatever the maps are.

    bfloat16 would move proposals by whole pixels (at 1300 it has steps of 8).

    Args:
        proposals: the proposal network.
        stages: run one after the other; masks come from all of them.
        loss_weights: of the stages.
        strides: of the maps.
        classes: names, in the order of the labels, without background.
        convention: name of what the weights expect.
        rules: what that is.
    """

    def __init__(
        self,
        proposals: ProposalNetwork,
        stages: Sequence[RoIStage],
        loss_weights: Sequence[float],
        strides: Sequence[int],
        classes: tuple[str, ...],
        convention: str,
        rules: Convention,
    ):
        super().__init__()
        self.rpn = proposals
        self.stages = nn.ModuleList(stages)
        self.loss_weights = loss_weights
        self.strides = strides
        self.classes = classes
        self.convention = convention
        self.rules = rules

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """The pyramid maps as they are: a detector's raw output is no tensor."""
        return maps

    def loss(self, maps: list[Tensor], targets: list[dict]) -> dict[str, Tensor]:
        """Compare with the annotated objects.

        Args:
            maps: [B, C, H, W] each, finest first.
            targets: one dict an image with `boxes` float [G, 4] (x1, y1, x2, y2 in input pixels), `labels` int64 [G]
                from 0 on, `input_hw` (its size before padding), and `masks` uint8 [G, H, W] where masks are trained;
                G may be 0.

        Raises:
            RuntimeError: a label is no class (on a GPU, as a device-side assertion).
        """
        sizes_hw = [target["input_hw"] for target in targets]
        labels = torch.cat([target["labels"] for target in targets])
        # -1 would become background without a word. Asked on the device: nobody waits for the answer.
        torch._assert_async(
            ((labels >= 0) & (labels < len(self.classes))).all(),
            f"labels must be 0 to {len(self.classes) - 1}, as the {len(self.classes)} classes of the head are counted",
        )
        # In the stages 0 is background.
        targets = [{**target, "labels": target["labels"] + 1} for target in targets]
        with torch.autocast(maps[0].device.type, enabled=False):
            maps = [x.float() for x in maps]
            boxes, losses = self.rpn(maps, sizes_hw, targets)
            for i, (stage, weight) in enumerate(zip(self.stages, self.loss_weights, strict=True)):
                stage_losses, boxes = stage.loss(maps[:POOLED_LEVELS], boxes, sizes_hw, targets)
                number = f"_{i + 1}" if len(self.stages) > 1 else ""
                losses |= {f"{name}{number}": weight * value for name, value in stage_losses.items()}
        return losses

    def predict(self, maps: list[Tensor], meta: list[dict], flipped: list[Tensor] | None = None) -> list[dict]:
        """Find the objects.

        Args:
            maps: of B images.
            meta: one dict an image with `input_hw` and `image_hw`, its sizes as the network sees it and in the file;
                the rest is handed on.
            flipped: must be None: no published detector averages with mirrored images.

        Returns:
            each dict of `meta` with `boxes` float32 [N, 4] (x1, y1, x2, y2 in pixels of the original image), `scores`
            [N], best first, `labels` [N] from 0 on, and `masks`, COCO's run lengths, where the head has masks.

        Raises:
            ValueError: `flipped` is given.
        """
        if flipped is not None:
            raise ValueError("detection has no flip test: leave out --flip, and model.flip_test=True")
        sizes_hw = [one["input_hw"] for one in meta]
        with torch.autocast(maps[0].device.type, enabled=False):
            maps = [x.float() for x in maps]
            proposals, _ = self.rpn(maps, sizes_hw)
            maps = maps[:POOLED_LEVELS]
            logits, deltas = self.stages[0].boxes(maps, proposals)
            for before, stage in pairwise(self.stages):
                proposals = before.refine(deltas, proposals, sizes_hw)
                stage_logits, deltas = stage.boxes(maps, proposals)
                logits = logits + stage_logits
            last = self.stages[-1]
            boxes, scores, labels = last.detect(logits / len(self.stages), deltas, proposals, sizes_hw)
            masks = self._masks(maps, boxes, labels) if last.has_mask() else None
        found = []
        for i, one in enumerate(meta):
            in_image = scale_boxes(boxes[i], one["input_hw"], one["image_hw"], self.rules.last_pixel).cpu()
            result = {
                "boxes": in_image.numpy(),
                "scores": scores[i].cpu().numpy(),
                "labels": labels[i].cpu().numpy() - 1,
            }
            if masks is not None:
                ends = in_image - in_image.new_tensor([0, 0, 1, 1]) if self.rules.last_pixel else in_image
                result["masks"] = paste_masks(masks[i].cpu(), ends, one["image_hw"], self.rules.masks)
            found.append(one | result)
        return found

    def _masks(self, maps: list[Tensor], boxes: list[Tensor], labels: list[Tensor]) -> Sequence[Tensor]:
        """Probabilities [N, 28, 28] of each image, the mean of all stages."""
        joined = torch.cat(labels)
        index = torch.arange(len(joined), device=joined.device)
        mean = sum(stage.masks(maps, boxes)[index, joined].sigmoid() for stage in self.stages) / len(self.stages)
        return mean.split([len(one) for one in labels])

    def draw_targets(self, images: Tensor, targets: list[dict]) -> list[np.ndarray]:
        """Draw the anchors that `loss` takes for objects over the images.

        Args:
            images: [B, 3, H, W], 0 to 255.
            targets: as for `loss`.

        Returns:
            B pictures, RGB uint8 [h, w, 3], without padding.
        """
        height, width = images.shape[-2:]
        grids = [images.new_empty(1, 1, height // stride, width // stride) for stride in self.strides]
        anchors = torch.cat(self.rpn.anchor_generator(grids))
        pictures = []
        for image, target in zip(images.byte().permute(0, 2, 3, 1).numpy(), targets, strict=True):
            (h, w), usable = target["input_hw"], self.rpn.usable(anchors, target["input_hw"])
            (states,), _ = self.rpn.assign_targets_to_anchors([anchors[usable]], [target])
            corners = anchors[usable][states == 1].numpy()
            boxes_xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
            pictures.append(draw_boxes(image[:h, :w], boxes_xywh))
        return pictures

    def check_data(self, classes: Sequence[str], convention: str) -> None:
        """Refuse data of other classes, or prepared in another way than this head computes.

        Args:
            classes: names in the order of the labels.
            convention: of the transform that resizes images and boxes.

        Raises:
            DataError: other names, another order, or another number of them; another convention.
        """
        if convention != self.convention:
            raise DataError(
                f"images and boxes are resized as {convention} does, but the head computes as {self.convention} does; "
                "give model.head.convention, train_dataloader.dataset.transform.convention and "
                "val_dataloader.dataset.transform.convention the same name"
            )
        theirs = tuple(classes)
        if theirs != self.classes:
            raise DataError(
                f"the data has {len(theirs)} classes ({shorten(theirs)}), the head has {len(self.classes)} "
                f"({shorten(self.classes)}); set model.head.classes=None to take them from the data"
            )

    @property
    def output_names(self) -> tuple[str, ...]:
        """What each row of the classifier stands for: a checkpoint of other classes lends the rows of equal name."""
        return ("background", *self.classes)

    @staticmethod
    def published_names(outputs: int) -> tuple[str, ...] | None:
        """Row names of a published file that does not tell: with 81 rows they are background and COCO's classes."""
        return ("background", *COCO) if outputs == len(COCO) + 1 else None

    def convert_checkpoint(self, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Give the tensors of mmdetection, the authors, maskrcnn-benchmark and torchvision our names and row order."""
        return convert(tensors, self.convention)

    def describe(self) -> dict:
        """What predictions of these weights depend on, in plain values; it is kept in every checkpoint."""
        return {"convention": self.convention, "classes": list(self.classes)}


@MODELS.register_module()
class FasterRCNNHead(RCNNHead):
    """Faster R-CNN, and with masks Mask R-CNN (arXiv:1506.01497, arXiv:1703.06870) on a pyramid of maps.

    Args:
        in_channels: channels of each map received, finest first; all alike.
        in_strides: their strides.
        classes: names, "coco" or "voc"; None takes them from the training data.
        masks: also predict masks.
        convention: the code base whose weights are loaded or whose training is repeated; None is that of the data, or
            "mmdet" where there is none.
        roi_samples: proposals an image that each stage is trained on; fewer save time and memory.

    Raises:
        ValueError: no classes are given, or the convention is not known.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        classes: str | Sequence[str] | None = None,
        masks: bool = False,
        convention: Literal["mmdet", "torchvision", "authors", "maskrcnn-benchmark"] | None = None,
        roi_samples: int = 512,
    ):
        convention = convention or "mmdet"
        chosen, classes = _resolve(convention, CONVENTIONS, classes)
        stage = RoIStage(
            in_channels[0],
            in_strides[:POOLED_LEVELS],
            len(classes),
            chosen,
            masks=masks,
            best_roi=chosen.best_roi == "always" or (chosen.best_roi == "with masks" and masks),
            samples=roi_samples,
        )
        rpn = ProposalNetwork(in_channels[0], in_strides, chosen)
        super().__init__(rpn, [stage], (1.0,), in_strides, classes, convention, chosen)


@MODELS.register_module()
class CascadeRCNNHead(RCNNHead):
    """Cascade R-CNN: three stages of rising overlap (Cai and Vasconcelos, CVPR 2018, arXiv:1712.00726).

    Args:
        in_channels: channels of each map received, finest first; all alike.
        in_strides: their strides.
        classes: names, "coco" or "voc"; None takes them from the training data.
        masks: also predict masks, in every stage.
        convention: the code base whose weights are loaded or whose training is repeated; None is that of the data, or
            "mmdet" where there is none.
        roi_samples: proposals an image that each stage is trained on; fewer save time and memory.

    Raises:
        ValueError: no classes are given, or the convention is not known.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        classes: str | Sequence[str] | None = None,
        masks: bool = False,
        convention: Literal["mmdet", "authors"] | None = None,
        roi_samples: int = 512,
    ):
        convention = convention or "mmdet"
        chosen, classes = _resolve(convention, CASCADE_CONVENTIONS, classes)
        stages = [
            RoIStage(
                in_channels[0],
                in_strides[:POOLED_LEVELS],
                len(classes),
                chosen,
                iou,
                box_weights,
                class_agnostic=True,
                masks=masks,
                best_roi=chosen.best_roi == "always",
                samples=roi_samples,
            )
            for iou, box_weights in zip(CASCADE_IOUS, CASCADE_BOX_WEIGHTS, strict=True)
        ]
        rpn = ProposalNetwork(in_channels[0], in_strides, chosen)
        super().__init__(rpn, stages, CASCADE_LOSS_WEIGHTS, in_strides, classes, convention, chosen)


def _resolve(
    convention: str, known: dict[str, Convention], classes: str | Sequence[str] | None
) -> tuple[Convention, tuple[str, ...]]:
    if convention not in known:
        raise ValueError(f"convention should be one of {', '.join(known)}, got {convention!r}")
    if classes is None:
        raise ValueError("the head needs class names: give head.classes, or build it with its training data")
    return known[convention], resolve_classes(classes)
