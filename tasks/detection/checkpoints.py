"""Names and row orders of published detectors, turned into ours: background is row 0 of every output."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial

import torch
from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import read_config, read_normalisation

# Applied one after the other.
_RULES = (
    (r"^neck\.reduction_conv\.conv\.", "neck.reduction_conv.0."),
    (r"^neck\.fpn_convs\.(\d+)\.conv\.", r"neck.fpn_conv.\1."),
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


def convert(tensors: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], list[str]]:
    """Rename what comes from a published detector, and put background first where it comes last.

    Args:
        tensors: all tensors of a file, by full names.
        source: the code base that wrote it.

    Returns:
        the tensors by our names, and no notes.
    """
    renamed = {}
    for name, tensor in tensors.items():
        if name.endswith(".eps"):  # of maskrcnn-benchmark's FrozenBatchNorm; always the default
            continue
        for pattern, replacement in _RULES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = _background_first(name, tensor) if source == "mmdet" else tensor
    return renamed, []


def _background_first(name: str, tensor: Tensor) -> Tensor:
    """mmdetection counts background last among the classes, and has no boxes and masks for it."""
    if ".box_predictor.cls_score." in name:
        return tensor.roll(1, dims=0)
    class_specific = ".box_predictor.bbox_pred." in name and len(tensor) > 4
    if class_specific or ".mask_fcn_logits." in name:
        rows = 4 if class_specific else 1
        return torch.cat([torch.zeros_like(tensor[:rows]), tensor])
    return tensor


# What the names of each code base begin with: mmdetection 2 and 3, or its pyramid alone; the authors' code and
# mmdetection 1; maskrcnn-benchmark; torchvision's FasterRCNN and MaskRCNN around one of our backbones.
_SIGNS = {
    "authors": ("bbox_head.",),
    "mmdet": ("roi_head.", "neck.fpn_convs."),
    "maskrcnn-benchmark": ("roi_heads.box.",),
    "torchvision": ("roi_heads.box_head.",),
}


def _begins(names: Collection[str], signs: tuple[str, ...]) -> bool:
    return any(name.startswith(signs) for name in names)


def _settings(checkpoint: Mapping, names: Collection[str], source: str) -> dict[str, dict]:
    view = read_normalisation(read_config(checkpoint))
    if source == "authors":  # who read zip files as RGB, whatever the config says
        view.pop("channels", None)
    return {"head": {"convention": source}, "view": view}


for _name, _signs in _SIGNS.items():
    register_format(
        Format(
            _name,
            partial(_begins, signs=_signs),
            partial(convert, source=_name),
            partial(_settings, source=_name),
        )
    )
