"""Pose weights of the official code and of OpenMMLab, by the names of this toolkit."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import read_keypoints


def _has_official_names(names: Collection[str]) -> bool:
    return "final_layer.weight" in names


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    parts = {name: "head" if name.startswith("final_layer.") else "backbone" for name in tensors}
    return {f"{parts[name]}.{name}": tensor for name, tensor in tensors.items()}, []


def _official_settings(checkpoint: Mapping, names: Collection[str]) -> dict[str, dict]:
    """Plain, DARK and UDP files have the same names: of the codec they tell nothing."""
    return {"backbone": {"fuse_upsample": "nearest"}}


def _has_openmmlab_names(names: Collection[str]) -> bool:
    """OpenMMLab 1.x has the names of this toolkit; face heads there have a layer more."""
    ours = {"backbone.conv1.weight", "head.final_layer.weight"} <= set(
        names
    ) and "head.conv_layers.0.weight" not in names
    return ours or "keypoint_head.final_layer.weight" in names


def _from_openmmlab(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    return {name.replace("keypoint_head.", "head.", 1): tensor for name, tensor in tensors.items()}, []


register_format(
    Format("official pose", _has_official_names, _from_official, _official_settings),
    Format("OpenMMLab pose", _has_openmmlab_names, _from_openmmlab, lambda checkpoint, _: read_keypoints(checkpoint)),
)
