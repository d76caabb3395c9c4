"""Pose weights of the official code and of OpenMMLab 0.x, by the names of this toolkit."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format


def _has_official_names(names: Collection[str]) -> bool:
    return "final_layer.weight" in names


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    parts = {name: "head" if name.startswith("final_layer.") else "backbone" for name in tensors}
    return {f"{parts[name]}.{name}": tensor for name, tensor in tensors.items()}, []


def _has_openmmlab_names(names: Collection[str]) -> bool:
    """OpenMMLab 1.x has the names of this toolkit."""
    return "keypoint_head.final_layer.weight" in names


def _from_openmmlab(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    return {name.replace("keypoint_head.", "head.", 1): tensor for name, tensor in tensors.items()}, []


register_format(
    Format("official pose", _has_official_names, _from_official),
    Format("OpenMMLab 0.x pose", _has_openmmlab_names, _from_openmmlab),
)
