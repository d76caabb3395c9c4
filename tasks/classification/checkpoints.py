"""Classification weights of the official code, of timm, which shares its names, and of OpenMMLab, by our names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import read_classification

HEAD = ("incre_modules", "downsamp_modules", "final_layer", "classifier")  # its children
# mmcls and mmpretrain call their neck so
OPENMMLAB_RULES = (
    (r"^neck\.increase_layers\.", "head.incre_modules."),
    (r"^neck\.downsample_layers\.(\d)\.conv\.", r"head.downsamp_modules.\1.0."),
    (r"^neck\.downsample_layers\.(\d)\.bn\.", r"head.downsamp_modules.\1.1."),
    (r"^neck\.final_layer\.conv\.", "head.final_layer.0."),
    (r"^neck\.final_layer\.bn\.", "head.final_layer.1."),
    (r"^head\.fc\.", "head.classifier."),
)


def _has_official_names(names: Collection[str]) -> bool:
    return any(name.startswith(("incre_modules.", "classifier.")) for name in names)


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    parts = {name: "head" if name.split(".")[0] in HEAD else "backbone" for name in tensors}
    return {f"{parts[name]}.{name}": tensor for name, tensor in tensors.items()}, []


def _has_openmmlab_names(names: Collection[str]) -> bool:
    return any(name.startswith("neck.increase_layers.") for name in names) or "head.fc.weight" in names


def _from_openmmlab(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, ours in OPENMMLAB_RULES:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
    return renamed, []


def _settings(checkpoint: Mapping, names: Collection[str]) -> dict[str, dict]:
    return {"backbone": {"fuse_upsample": "nearest"}, **read_classification(checkpoint)}


register_format(
    Format("official or timm classification", _has_official_names, _from_official, _settings),
    Format("OpenMMLab classification", _has_openmmlab_names, _from_openmmlab, _settings),
)
