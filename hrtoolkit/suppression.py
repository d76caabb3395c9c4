"""Greedy suppression of boxes in groups, as one operator that can be exported.

torchvision's operator takes one group alone, and moving groups apart, as its `batched_nms` does, costs digits of the
overlaps in float32. ONNX's operator has groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import nms


@torch.library.custom_op("hrtoolkit::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou: float, above: float, most: int) -> Tensor:
    """Which boxes greedy suppression keeps in each group: bool [G, N]. Of equal scores the first box comes first.

    Args:
        boxes: [G, N, 4], x1, y1, x2, y2.
        scores: [G, N].
        iou: overlap above which the worse box goes.
        above: boxes whose scores are not above it are out.
        most: of each group, the best.
    """
    there = scores > above
    kept = torch.zeros_like(there)
    for group in there.any(dim=1).nonzero()[:, 0].tolist():
        places = there[group].nonzero()[:, 0]
        best = nms(boxes[group, places], scores[group, places], iou)[:most]
        kept[group, places[best]] = True
    return kept


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float, above: float, most: int) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def suppress_in_onnx(boxes: Any, scores: Any, iou: float, above: float, most: int) -> Any:
    """`suppress` as torch.onnx writes it."""
    import onnx
    from onnxscript import opset20

    op: Any = opset20
    limits = op.Constant(value_ints=[most]), op.Constant(value_floats=[iou]), op.Constant(value_floats=[above])
    found = op.NonMaxSuppression(boxes, op.Unsqueeze(scores, op.Constant(value_ints=[1])), *limits)  # group, 0, place
    places = op.Gather(found, op.Constant(value_ints=[0, 2]), axis=1)
    first = op.Slice(op.Shape(places), op.Constant(value_ints=[0]), op.Constant(value_ints=[1]))
    ones, zeros = (op.Expand(op.Constant(value_float=x), shape) for x, shape in ((1.0, first), (0.0, op.Shape(scores))))
    return op.Cast(op.ScatterND(zeros, places, ones), to=onnx.TensorProto.BOOL)


# As torch.onnx.export takes them.
ONNX_OPERATORS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.hrtoolkit.suppress.default: suppress_in_onnx}
