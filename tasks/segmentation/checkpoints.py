"""Segmentation weights of the official code and of mmsegmentation, by the names of this toolkit."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import find, read_config, read_normalisation

HEADS = ("last_layer", "aux_head", "conv3x3_ocr", "ocr_distri_head", "cls_head")  # children of both official heads
INPLACE_ABN_EPS = 1e-5
_BLOCK = r"^decode_head\.1\.object_context_block\."
_OURS = "head.ocr_distri_head.object_context_block."
RULES = (
    # FCNHead, alone or as the first of two
    *(
        (rf"^decode_head\.{theirs}{part}\.", f"head.{ours}.{layer}.")
        for theirs, ours in (("", "last_layer"), (r"0\.", "aux_head"))
        for part, layer in ((r"convs\.0\.conv", "0"), (r"convs\.0\.bn", "1"), ("conv_seg", "3"))
    ),
    # OCRHead
    (r"^decode_head\.1\.bottleneck\.conv\.", "head.conv3x3_ocr.0."),
    (r"^decode_head\.1\.bottleneck\.bn\.", "head.conv3x3_ocr.1."),
    (r"^decode_head\.1\.conv_seg\.", "head.cls_head."),
    (_BLOCK + r"bottleneck\.conv\.", "head.ocr_distri_head.conv_bn_dropout.0."),
    (_BLOCK + r"bottleneck\.bn\.", "head.ocr_distri_head.conv_bn_dropout.1.0."),
    *(
        (f"{_BLOCK}{theirs}_project\\.{number}{part}\\.", f"{_OURS}{ours}.{layer}.")
        for theirs, ours, numbers in (
            ("query", "f_pixel", (r"0\.", r"1\.")),
            ("key", "f_object", (r"0\.", r"1\.")),
            ("value", "f_down", ("",)),
            ("out", "f_up", ("",)),
        )
        for i, number in enumerate(numbers)
        for part, layer in (("conv", f"{2 * i}"), ("bn", f"{2 * i + 1}.0"))
    ),
)
WITHOUT_BIAS = ("head.last_layer.0.", "head.aux_head.0.", "head.conv3x3_ocr.0.")


def _has_official_names(names: Collection[str]) -> bool:
    return any(name.startswith(("last_layer.", "ocr_distri_head.")) for name in names)


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    tensors, notes = dict(tensors), []
    if tensors.pop("loss.criterion.weight", None) is not None:
        notes.append("left out the class weights of the loss it was trained with")
    parts = {name: "head" if name.split(".")[0] in HEADS else "backbone" for name in tensors}
    return _undo_inplace_abn({f"{parts[name]}.{name}": tensor for name, tensor in tensors.items()}, notes)


def _has_openmmlab_names(names: Collection[str]) -> bool:
    return any(name.startswith("decode_head.") for name in names)


def _from_openmmlab(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Its convolutions before a normalisation have no bias, the official ones do: it becomes 0, which is the same."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, ours in RULES:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
        prefix = name.removesuffix("weight")
        if prefix in WITHOUT_BIAS:
            renamed.setdefault(f"{prefix}bias", tensor.new_zeros(len(tensor)))
    return _undo_inplace_abn(renamed, [])


def _undo_inplace_abn(tensors: dict[str, Tensor], notes: list[str]) -> tuple[dict[str, Tensor], list[str]]:
    """Make plain BatchNorm weights of those that were trained with InPlaceABN.

    Such files (torch 0.4: all of the official master branch, and those named `*_torch04`) normalise by |weight| + 1e-5
    and know no batch counters, by which they are told apart: that factor becomes the weight. (Converting a plain file
    that lost its counters only changes the sign of negative weights.)
    """
    norms = [name.removesuffix("running_mean") + "weight" for name in tensors if name.endswith(".running_mean")]
    if any(name.startswith("head.") for name in norms) and not any(n.endswith(".num_batches_tracked") for n in tensors):
        tensors = tensors | {name: tensors[name].abs() + INPLACE_ABN_EPS for name in norms}
        notes = [*notes, f"trained with InPlaceABN: weights of {len(norms)} normalisations became |weight| + 1e-5"]
    return tensors, notes


def _official_settings(checkpoint: Mapping, names: Collection[str]) -> dict[str, dict]:
    """All OCR files align corners; the plain ones differ by data set, which they do not tell."""
    if any(name.startswith("ocr_distri_head.") for name in names):
        return {part: {"align_corners": True} for part in ("backbone", "neck", "head")}
    return {"backbone": {"fuse_upsample": "bilinear"}}


def _openmmlab_settings(checkpoint: Mapping, names: Collection[str]) -> dict[str, dict]:
    """Corners are not aligned, but where the config in the file says so of the head; in the backbone never."""
    config = read_config(checkpoint)
    enlarging = {"align_corners": bool(find(config, "model", "decode_head", "align_corners"))}
    backbone = {"fuse_upsample": "bilinear", "align_corners": False}
    return {"backbone": backbone, "neck": enlarging, "head": enlarging, "view": read_normalisation(config)}


register_format(
    Format("official segmentation", _has_official_names, _from_official, _official_settings),
    Format("OpenMMLab segmentation", _has_openmmlab_names, _from_openmmlab, _openmmlab_settings),
)
