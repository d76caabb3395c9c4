"""Face weights of the official code and of OpenMMLab, by the names of this toolkit."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import read_keypoints

OPENMMLAB_LAYERS = {  # of 0.x, then of 1.x
    **{f"keypoint_head.final_layer.{i}.": f"head.{i}." for i in (0, 1, 3)},
    **{"head.conv_layers.0.": "head.0.", "head.conv_layers.1.": "head.1.", "head.final_layer.": "head.3."},
}


def _has_official_names(names: Collection[str]) -> bool:
    return "head.3.weight" in names and not any(name.startswith("backbone.") for name in names)


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    return {n if n.startswith("head.") else f"backbone.{n}": tensor for n, tensor in tensors.items()}, []


def _has_openmmlab_names(names: Collection[str]) -> bool:
    return "keypoint_head.final_layer.3.weight" in names or "head.conv_layers.0.weight" in names


def _from_openmmlab(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    def rename(name: str) -> str:
        for theirs, ours in OPENMMLAB_LAYERS.items():
            if name.startswith(theirs):
                return ours + name.removeprefix(theirs)
        return name

    return {rename(name): tensor for name, tensor in tensors.items()}, []


OFFICIAL = {"backbone": {"fuse_upsample": "bilinear", "align_corners": False}}

register_format(
    Format("official face", _has_official_names, _from_official, lambda *_: OFFICIAL),
    Format("OpenMMLab face", _has_openmmlab_names, _from_openmmlab, lambda checkpoint, _: read_keypoints(checkpoint)),
)
