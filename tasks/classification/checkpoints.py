"""Classification weights of the official code and of timm, which share their names, by the names of this toolkit."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format

HEAD = ("incre_modules", "downsamp_modules", "final_layer", "classifier")  # its children


def _has_official_names(names: Collection[str]) -> bool:
    return any(name.startswith(("incre_modules.", "classifier.")) for name in names)


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    parts = {name: "head" if name.split(".")[0] in HEAD else "backbone" for name in tensors}
    return {f"{parts[name]}.{name}": tensor for name, tensor in tensors.items()}, []


register_format(Format("official or timm classification", _has_official_names, _from_official))
