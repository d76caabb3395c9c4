"""HigherHRNet's weights of the official code and of mmpose 0.x, by the names of this toolkit."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import find, read_config, read_normalisation


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    parts = {name: "head" if name.startswith(("final_layers.", "deconv_layers.")) else "backbone" for name in tensors}
    return {f"{parts[name]}.{name}": tensor for name, tensor in tensors.items()}, []


def _from_openmmlab(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    return {name.replace("keypoint_head.", "head.", 1): tensor for name, tensor in tensors.items()}, []


def _openmmlab_settings(checkpoint: Mapping, names: Collection[str]) -> dict[str, dict]:
    config = read_config(checkpoint)
    udp = find(config, "model", "test_cfg", "use_udp")
    return {
        "backbone": {"fuse_upsample": "nearest"},
        "head": {} if udp is None else {"udp": udp},
        "view": read_normalisation(config),
    }


register_format(
    Format(
        "official HigherHRNet",
        lambda names: "final_layers.0.weight" in names,
        _from_official,
        lambda checkpoint, names: {"backbone": {"fuse_upsample": "nearest"}},
    ),
    Format(
        "OpenMMLab HigherHRNet",
        lambda names: "keypoint_head.final_layers.0.weight" in names,
        _from_openmmlab,
        _openmmlab_settings,
    ),
)
