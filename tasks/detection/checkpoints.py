"""Names and row orders of published detectors, turned into ours: background is row 0 of every output."""

from __future__ import annotations

import re

import torch
from torch import Tensor

# Applied one after the other.
_RULES = (
    # mmdetection and the authors, whose stages have numbers where there are several
    (r"^rpn_head\.rpn_conv\.", "head.rpn.head.conv.0.0."),
    (r"^rpn_head\.rpn_cls\.", "head.rpn.head.cls_logits."),
    (r"^rpn_head\.rpn_reg\.", "head.rpn.head.bbox_pred."),
    (r"^roi_head\.", ""),
    (r"^(bbox|mask)_head\.(\d)\.", r"head.stages.\2.\1_head."),
    (r"^(bbox|mask)_head\.", r"head.stages.0.\1_head."),
    (r"\.bbox_head\.shared_fcs\.0\.", ".box_head.fc6."),
    (r"\.bbox_head\.shared_fcs\.1\.", ".box_head.fc7."),
    (r"\.bbox_head\.fc_cls\.", ".box_predictor.cls_score."),
    (r"\.bbox_head\.fc_reg\.", ".box_predictor.bbox_pred."),
    (r"\.mask_head\.convs\.(\d)\.conv\.", r".mask_head.\1.0."),
    (r"\.mask_head\.upsample\.", ".mask_predictor.conv5_mask."),
    (r"\.mask_head\.conv_logits\.", ".mask_predictor.mask_fcn_logits."),
    # maskrcnn-benchmark, and torchvision around a backbone with the parts `body` and `neck`
    (r"^backbone\.body\.", "backbone."),
    (r"^backbone\.neck\.", "neck."),
    (r"^rpn\.head\.conv\.(weight|bias)$", r"head.rpn.head.conv.0.0.\1"),
    (r"^rpn\.", "head.rpn."),
    (r"^roi_heads\.box\.feature_extractor\.", "head.stages.0.box_head."),
    (r"^roi_heads\.box\.predictor\.", "head.stages.0.box_predictor."),
    (r"^roi_heads\.mask\.feature_extractor\.mask_fcn(\d)\.", lambda m: f"head.stages.0.mask_head.{int(m[1]) - 1}.0."),
    (r"^roi_heads\.mask\.predictor\.", "head.stages.0.mask_predictor."),
    (r"^roi_heads\.", "head.stages.0."),
)


def convert(tensors: dict[str, Tensor], convention: str) -> tuple[dict[str, Tensor], list[str]]:
    """Rename what comes from a published detector, and put background first where it comes last.

    Known are mmdetection 2 and 3 (`roi_head.bbox_head.`), the authors' code and mmdetection 1 (`bbox_head.`),
    maskrcnn-benchmark (`roi_heads.box.`) and torchvision's FasterRCNN (`roi_heads.box_head.`); other tensors stay.

    Args:
        tensors: all tensors of a file, by full names.
        convention: the model's.

    Returns:
        the tensors by our names, and a note where the file is made for another convention.
    """
    names = tuple(tensors)
    known = {
        "mmdet": any(name.startswith("roi_head.") for name in names),
        "authors": any(name.startswith("bbox_head.") for name in names),
        "maskrcnn-benchmark": any(name.startswith("roi_heads.box.") for name in names),
        "torchvision": any(name.startswith("roi_heads.box_head.") for name in names),
    }
    source = next((name for name, found in known.items() if found), None)
    if source is None:
        return tensors, []
    notes = []
    if convention != source:
        notes.append(
            f"named as {source} names them, but the head computes as {convention} does: for their published numbers "
            f"set model.head.convention={source!r}, and transform.convention of the data too"
        )
    renamed = {}
    for name, tensor in tensors.items():
        if name.endswith(".eps"):  # of maskrcnn-benchmark's FrozenBatchNorm; always the default
            continue
        for pattern, replacement in _RULES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = _background_first(name, tensor) if source == "mmdet" else tensor
    return renamed, notes


def _background_first(name: str, tensor: Tensor) -> Tensor:
    """mmdetection counts background last among the classes, and has no boxes and masks for it."""
    if ".box_predictor.cls_score." in name:
        return tensor.roll(1, dims=0)
    class_specific = ".box_predictor.bbox_pred." in name and len(tensor) > 4
    if class_specific or ".mask_fcn_logits." in name:
        rows = 4 if class_specific else 1
        return torch.cat([torch.zeros_like(tensor[:rows]), tensor])
    return tensor
