"""Names that mmsegmentation gives to the layers of these heads."""

from __future__ import annotations

import re

from torch import Tensor

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


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give mmsegmentation's layers their official names; all other names stay.

    Its convolutions before a normalisation have no bias, the official ones do: it becomes 0, which is the same.

    Args:
        tensors: of a file with OpenMMLab's names.
    """
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, ours in RULES:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
        prefix = name.removesuffix("weight")
        if prefix in WITHOUT_BIAS:
            renamed.setdefault(f"{prefix}bias", tensor.new_zeros(len(tensor)))
    return renamed
