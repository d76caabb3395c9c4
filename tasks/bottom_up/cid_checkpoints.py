"""CID weights of the official code and of mmpose, by the names of this toolkit."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import read_keypoints

OFFSET = "head.gfd.s_attn.grid_offset"


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    renamed = {f"head.{name}" if name.startswith(("iia.", "gfd.")) else name: t for name, t in tensors.items()}
    return {**renamed, OFFSET: torch.zeros(())}, []


# mmpose 1.x names the parts of the head as the authors do, 0.x leaves them out.
_RULES = (
    (r"^head\.iia_module\.keypoint_root_conv\.", "head.iia.keypoint_center_conv."),
    (r"^head\.gfd_module\.", "head.gfd."),
    (r"^keypoint_head\.keypoint_center_conv\.", "head.iia.keypoint_center_conv."),
    (r"^keypoint_head\.", "head.gfd."),
    (r"^head\.gfd\.channel_attention\.", "head.gfd.c_attn."),
    (r"^head\.gfd\.spatial_attention\.", "head.gfd.s_attn."),
    (r"^head\.gfd\.fuse_attention\.", "head.gfd.fuse_attn."),
)


def _from_mmpose(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Weights of 1.x were trained with distances from the middle of a cell, those of 0.x as the official ones."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, ours in _RULES:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
    if not _is_first(tensors):
        return {**renamed, OFFSET: torch.zeros(())}, []
    note = "trained by mmpose 1.x: distances to a centre are those from the middle of a cell (grid_offset 0.5)"
    return {**renamed, OFFSET: torch.full((), 0.5)}, [note]


def _is_first(names: Collection[str]) -> bool:
    return "head.iia_module.keypoint_root_conv.weight" in names


def _official_settings(checkpoint: Mapping, names: Collection[str]) -> dict[str, dict]:
    return {"backbone": {"fuse_upsample": "nearest"}}


register_format(
    Format(
        "official CID", lambda names: "iia.keypoint_center_conv.weight" in names, _from_official, _official_settings
    ),
    Format(
        "mmpose CID",
        lambda names: _is_first(names) or "keypoint_head.keypoint_center_conv.weight" in names,
        _from_mmpose,
        lambda checkpoint, _: read_keypoints(checkpoint),
    ),
)
