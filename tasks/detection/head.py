"""Detection heads: from pyramid maps to boxes, and masks if wanted, in pixels of the original images."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Settings, Warp
from hrtoolkit.masks import Masks
from hrtoolkit.parts import BaseHead, Listed
from hrtoolkit.ranges import Count
from hrtoolkit.records import Objects
from hrtoolkit.registry import HEADS
from hrtoolkit.runtime.drawing import draw_boxes
from hrtoolkit.runtime.masks import paste_masks
from hrtoolkit.runtime.reading import cut_objects
from hrtoolkit.schemes import ClassScheme, SchemeLike, resolve_scheme
from hrtoolkit.tasks.detection.conventions import CASCADE_CONVENTIONS, CONVENTIONS, Convention
from hrtoolkit.tasks.detection.fixed import detect
from hrtoolkit.tasks.detection.roi import POOLED_LEVELS, RoIStage, draw_masks, join_images
from hrtoolkit.tasks.detection.rpn import ProposalNetwork

log = logging.getLogger(__name__)

CASCADE_IOUS = (0.5, 0.6, 0.7)
# 1 / 0.1, 1 / 0.05 and 1 / 0.033; sizes count half.
CASCADE_BOX_WEIGHTS = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067))
CASCADE_LOSS_WEIGHTS = (1.0, 0.5, 0.25)


def object_targets(record: Objects, frame: Frame) -> dict[str, np.ndarray]:
    """Boxes, labels, and masks if there are any, of objects in input pixels."""
    targets = {"boxes": record.boxes_xyxy, "labels": record.labels, "masks": record.masks}
    return {name: values for name, values in targets.items() if isinstance(values, np.ndarray)}


class RCNNHead(BaseHead[Listed]):
    """Proposals, then one or more stages of classifying and refining; everything is float32, whatever the maps are.

    bfloat16 would move proposals by whole pixels (at 1300 it has steps of 8).

    Args:
        proposals: the proposal network.
        stages: run one after the other; masks come from all of them.
        loss_weights: of the stages.
        strides: of the maps.
        scheme: the classes, without background.
        convention: name of what the weights expect.
        rules: what that is.
    """

    moved = MappingProxyType({"classes": "model.head.scheme"})
    reads = ("masks",)
    flips = False
    reads_sizes = True
    extra_outputs = ("background",)
    output_layers = MappingProxyType({"box_predictor.cls_score": 1, "box_predictor.bbox_pred": 4, "mask_fcn_logits": 1})
    targets = staticmethod(object_targets)
    rpn: ProposalNetwork
    stages: Sequence[RoIStage]

    def __init__(
        self,
        *,
        proposals: ProposalNetwork,
        stages: Sequence[RoIStage],
        loss_weights: Sequence[float],
        strides: Sequence[int],
        scheme: ClassScheme,
        convention: str,
        rules: Convention,
    ):
        super().__init__()
        self.rpn = proposals
        self.add_module("stages", nn.ModuleList(stages))
        self.loss_weights = loss_weights
        self.strides = strides
        self.scheme = scheme
        self.convention = convention
        self.rules = rules
        # Views resize in mmdetection's way unless they are told another one.
        self.needs = {} if convention == "mmdet" else {"convention": convention}
        self.told_infinite = False

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """The pyramid maps as they are: a detector's raw output is no tensor."""
        return maps

    def loss(self, maps: list[Tensor], targets: Listed, frames: Frame) -> dict[str, Tensor | int]:
        """Compare with the annotated objects.

        Args:
            maps: [B, C, H, W] each, finest first.
            targets: one dict an image with `boxes` float [G, 4] (x1, y1, x2, y2 in input pixels), `labels` int64 [G]
                from 0 on, and `masks` uint8 [G, H, W] where masks are trained; G may be 0.
            frames: of the images.

        Raises:
            RuntimeError: a label is no class (on a GPU, as a device-side assertion).
        """
        sizes_hw = _sizes_hw(frames)
        labels = torch.cat([target["labels"] for target in targets])
        count = len(self.scheme.names)
        # -1 would become background without a word. Asked on the device: nobody waits for the answer.
        torch._assert_async(
            ((labels >= 0) & (labels < count)).all(),
            f"labels must be 0 to {count - 1}, as the {count} classes of the head are counted",
        )
        # In the stages 0 is background.
        targets = [{**target, "labels": target["labels"] + 1} for target in targets]
        with torch.autocast(maps[0].device.type, enabled=False):
            maps = [x.float() for x in maps]
            boxes, losses = self.rpn(maps, sizes_hw, targets)
            for i, (stage, weight) in enumerate(zip(self.stages, self.loss_weights, strict=True)):
                stage_losses, boxes = stage.loss(maps[:POOLED_LEVELS], boxes, sizes_hw, targets)
                number = f"_{i + 1}" if len(self.stages) > 1 else ""
                losses |= {
                    f"{name}{number}": value if name.startswith("count_") else weight * value
                    for name, value in stage_losses.items()
                }
        return losses

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[Objects]:
        """Find the objects.

        Args:
            maps: of B images.
            frames: of the images.
            flipped: of no use: no published detector averages with mirrored images.

        Returns:
            boxes of each image, best first, with labels and scores, and masks as run lengths where the head has masks.
        """
        sizes_hw = _sizes_hw(frames)
        with torch.autocast(maps[0].device.type, enabled=False):
            maps = [x.float() for x in maps]
            proposals, _ = self.rpn(maps, sizes_hw)
            maps = maps[:POOLED_LEVELS]
            logits, deltas = self.stages[0].boxes(maps, *join_images(proposals))
            self._tell_infinite(*maps, logits, deltas)
            for before, stage in pairwise(self.stages):
                proposals = before.refine(deltas, proposals, sizes_hw)
                stage_logits, deltas = stage.boxes(maps, *join_images(proposals))
                self._tell_infinite(stage_logits, deltas)
                logits = logits + stage_logits
            last = self.stages[-1]
            boxes, scores, labels = last.detect(logits / len(self.stages), deltas, proposals, sizes_hw)
            masks = None
            if last.has_mask():
                drawn = draw_masks(self.stages, maps, *join_images(boxes), torch.cat(labels))
                masks = drawn.split([len(one) for one in labels])
        found = []
        for i in range(len(frames)):
            of_image = None if masks is None else masks[i].cpu()
            found.append(self._to_image(boxes[i].cpu(), labels[i].cpu() - 1, scores[i].cpu(), of_image, frames[i]))
        return found

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`boxes` [B, N, 4] in pixels of the input, best first, their `labels` [B, N] and `scores` [B, N], and `masks`.

        Where nothing is, the label is -1 and the rest 0. Masks are probabilities [B, N, 28, 28].
        """
        assert sizes_hw is not None, "it reads sizes"
        return detect(self.rpn, self.stages, [x.float() for x in maps], sizes_hw)

    def read(self, outputs: Mapping[str, np.ndarray], frames: Frame) -> list[Objects]:
        found = []
        for i in range(len(frames)):
            there = outputs["labels"][i] >= 0
            boxes, labels, scores = (
                torch.from_numpy(outputs[name][i][there]) for name in ("boxes", "labels", "scores")
            )
            masks = torch.from_numpy(outputs["masks"][i][there]) if "masks" in outputs else None
            found.append(self._to_image(boxes, labels, scores, masks, frames[i]))
        return found

    def reading(self) -> Settings:
        masks = self.rules.masks if self.stages[-1].has_mask() else None
        return {"kind": "objects", "masks": masks, "last_pixel": self.rules.last_pixel}

    def _to_image(self, boxes: Tensor, labels: Tensor, scores: Tensor, masks: Tensor | None, frame: Frame) -> Objects:
        """What was found in an input, as it lies in its image; all on the CPU."""
        in_image = frame.boxes_to_image(boxes)
        assert isinstance(in_image, Tensor), "as what it is made of"
        packed = None
        if masks is not None:
            height, width = frame.image_hw
            ends = in_image - in_image.new_tensor([0, 0, 1, 1]) if self.rules.last_pixel else in_image
            packed = Masks((height, width), paste_masks(masks.numpy(), ends.numpy(), (height, width), self.rules.masks))
        found = Objects(in_image.double().numpy(), labels.numpy(), scores.numpy(), masks=packed)
        # What is around the image in an input of another shape shows nothing.
        return cut_objects(found, *frame.image_hw) if isinstance(frame, Warp) else found

    def _tell_infinite(self, *tensors: Tensor) -> None:
        """Say once that outputs are not finite: suppression drops such boxes, and nothing would be found in silence."""
        if not self.told_infinite and not all(torch.isfinite(x).all() for x in tensors):
            self.told_infinite = True
            log.warning("outputs of the detector are not finite (NaN or infinite): no object is found where they are")

    def draw_targets(self, images: Tensor, targets: Listed, frames: Frame) -> list[np.ndarray]:
        """Draw the anchors that `loss` takes for objects over the images, RGB uint8 [h, w, 3], without padding.

        Args:
            images: [B, 3, H, W], 0 to 255.
            targets: as for `loss`.
            frames: of the images.
        """
        height, width = images.shape[-2:]
        grids = [images.new_empty(1, 1, height // stride, width // stride) for stride in self.strides]
        anchors = torch.cat(self.rpn.anchor_generator(grids))
        pictures = []
        pixels = images.byte().permute(0, 2, 3, 1).numpy()
        for image, target, size_hw in zip(pixels, targets, _sizes_hw(frames), strict=True):
            usable = self.rpn.usable(anchors, size_hw)
            (states,), _ = self.rpn.assign_targets_to_anchors([anchors[usable]], [target])
            positive = anchors[usable][states == 1].numpy()
            pictures.append(draw_boxes(image[: size_hw[0], : size_hw[1]], positive))
        return pictures

    def describe(self) -> Settings:
        """What predictions of these weights depend on, in plain values; it is kept in every checkpoint."""
        return {"convention": self.convention}


def _sizes_hw(frames: Frame) -> list[tuple[int, int]]:
    """Height and width of each input of a batch, without padding."""
    return [(int(height), int(width)) for height, width in np.asarray(frames.input_hw)]


@HEADS.register_module()
class FasterRCNNHead(RCNNHead):
    """Faster R-CNN, and with masks Mask R-CNN (arXiv:1506.01497, arXiv:1703.06870) on a pyramid of maps.

    Args:
        in_channels: channels of each map received, finest first; all alike.
        in_strides: their strides.
        scheme: the classes, "coco" or "voc" for theirs; None takes them from the training data.
        masks: also predict masks.
        convention: the code base whose weights are loaded or whose training is repeated; images and boxes are resized
            as it does.
        roi_samples: proposals an image that each stage is trained on; fewer save time and memory.
        mask_channels: of the layers that predict masks, four fifths of a step's work in a small network.

    Raises:
        OptionError: there are no classes, or the convention is not known.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        scheme: SchemeLike | None = None,
        masks: bool = False,
        convention: Literal["mmdet", "torchvision", "authors", "maskrcnn-benchmark"] = "mmdet",
        roi_samples: Count = 512,
        mask_channels: Count = 256,
    ):
        rules, classes = _resolve(convention, CONVENTIONS, scheme)
        stage = RoIStage(
            channels=in_channels[0],
            strides=in_strides[:POOLED_LEVELS],
            num_classes=len(classes.names),
            convention=rules,
            masks=masks,
            best_roi=rules.best_roi == "always" or (rules.best_roi == "with masks" and masks),
            samples=roi_samples,
            mask_channels=mask_channels,
        )
        super().__init__(
            proposals=ProposalNetwork(in_channels[0], in_strides, rules),
            stages=[stage],
            loss_weights=(1.0,),
            strides=in_strides,
            scheme=classes,
            convention=convention,
            rules=rules,
        )


@HEADS.register_module()
class CascadeRCNNHead(RCNNHead):
    """Cascade R-CNN: three stages of rising overlap (Cai and Vasconcelos, CVPR 2018, arXiv:1712.00726).

    Args:
        in_channels: channels of each map received, finest first; all alike.
        in_strides: their strides.
        scheme: the classes, "coco" or "voc" for theirs; None takes them from the training data.
        masks: also predict masks, in every stage.
        convention: the code base whose weights are loaded or whose training is repeated; images and boxes are resized
            as it does.
        roi_samples: proposals an image that each stage is trained on; fewer save time and memory.

    Raises:
        OptionError: there are no classes, or the convention is not known.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        scheme: SchemeLike | None = None,
        masks: bool = False,
        convention: Literal["mmdet", "authors"] = "mmdet",
        roi_samples: Count = 512,
    ):
        rules, classes = _resolve(convention, CASCADE_CONVENTIONS, scheme)
        stages = [
            RoIStage(
                channels=in_channels[0],
                strides=in_strides[:POOLED_LEVELS],
                num_classes=len(classes.names),
                convention=rules,
                iou=iou,
                box_weights=box_weights,
                class_agnostic=True,
                masks=masks,
                best_roi=rules.best_roi == "always",
                samples=roi_samples,
            )
            for iou, box_weights in zip(CASCADE_IOUS, CASCADE_BOX_WEIGHTS, strict=True)
        ]
        super().__init__(
            proposals=ProposalNetwork(in_channels[0], in_strides, rules),
            stages=stages,
            loss_weights=CASCADE_LOSS_WEIGHTS,
            strides=in_strides,
            scheme=classes,
            convention=convention,
            rules=rules,
        )


def _resolve(
    convention: str, known: dict[str, Convention], scheme: SchemeLike | None
) -> tuple[Convention, ClassScheme]:
    if convention not in known:
        raise OptionError(f"convention should be one of {', '.join(known)}, got {convention!r}")
    return known[convention], resolve_scheme(scheme, ClassScheme)
