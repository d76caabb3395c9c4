"""DEKR weights of the official code and of mmpose, by the names of this toolkit.

The official code has layers for each joint; here, as in mmpose, they are rows of one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from hrtoolkit.checkpoints import Format, register_format
from hrtoolkit.openmmlab import read_keypoints
from hrtoolkit.tasks.bottom_up.adaptive import regular_grid

OFFICIAL = "offset_feature_layers.0.0.adapt_conv.weight"
MMPOSE_1, MMPOSE_0 = "head.displacement_conv_layers.0.conv.weight", "keypoint_head.offset_conv_layers.0.conv.weight"
PARTS = ("transition_heatmap.", "head_heatmap.", "transition_offset.", "offset_feature_layers.", "offset_final_layer.")
_RULES = (
    (r"^(keypoint_)?head\.", "head."),
    (r"^rescore_net\.", "head.rescore_net."),
    (r"^head\.(displacement|offset)_conv_layers\.", "head.offset."),
    *(
        (rf"^head\.{theirs}\.0\.{part}\.", f"head.transition_{ours}.{number}.")
        for theirs, ours in (("heatmap_conv_layers", "heatmap"), ("offset", "offset"))
        for number, part in enumerate(("conv", "bn"))
    ),
    (r"^head\.heatmap_conv_layers\.1\.", "head.head_heatmap.0.0."),
    (r"^head\.heatmap_conv_layers\.2\.", "head.head_heatmap.1."),
    *((rf"^head\.offset\.{i + 1}\.norm\.", f"head.offset_feature_layers.{i}.bn.") for i in (0, 1)),
    *((rf"^head\.offset\.{i + 1}\.", f"head.offset_feature_layers.{i}.") for i in (0, 1)),
    (r"^head\.offset\.3\.", "head.offset_final_layer."),
)
# The links that mmpose's rescoring net sees, in the order of RescoringNet.links, and where they point the other way.
_LINKS = {
    74: (17, 15, 18, 16, 14, 9, 11, 7, 8, 10, 12, 13, 2, 0, 1, 3, 4, 5, 6),
    59: (11, 9, 12, 10, 13, 7, 8, 14, 3, 4, 5, 6, 0, 2, 1),
}
_TURNED = {74: (0, 1, 2, 3), 59: (0, 1, 2, 3, 13, 14)}


def _from_official(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    kept, notes = _check_grids(tensors)
    parts = {name: "head" if name.startswith(PARTS) else "backbone" for name in kept}
    return _join_joints({f"{parts[name]}.{name}": tensor for name, tensor in kept.items()}), notes


def _from_mmpose(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Its matrices lack the identity; offsets of 1.x are joint minus cell; in 0.x the centre is the first heatmap."""
    kept, notes = _check_grids(tensors)
    converted = {}
    for name, tensor in kept.items():
        for pattern, ours in _RULES:
            name = re.sub(pattern, ours, name)
        if name.endswith("transform_matrix_conv.bias"):
            tensor = tensor.clone()
            tensor[0::6] += 1  # of the rows (A0, A1, t0, A2, A3, t1)
            tensor[4::6] += 1
        elif name.startswith("head.offset_final_layer.") and MMPOSE_1 in tensors:
            tensor = -tensor
        elif name.startswith("head.head_heatmap.1.") and MMPOSE_0 in tensors:
            tensor = tensor.roll(-1, 0)
        elif name == "head.rescore_net.l1.weight" and tensor.shape[-1] in _LINKS:
            tensor = _reorder_links(tensor)
        converted[name] = tensor
    return converted, notes


def _check_grids(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Leave out the grids of taps, which are constants, but where they are none that is known."""
    grid = regular_grid(torch.zeros(()))
    known = (grid, torch.cat([grid, torch.ones(1, 9)]))  # official, and of mmpose
    same = {
        name
        for name, tensor in tensors.items()
        if name.endswith(".regular_matrix") and any(torch.equal(tensor.float(), grid) for grid in known)
    }
    others = [name for name in tensors if name.endswith(".regular_matrix") and name not in same]
    notes = [f"its taps lie on another grid ({others[0]}): this network gives other offsets"] if others else []
    return {name: tensor for name, tensor in tensors.items() if name not in same}, notes


def _join_joints(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Make one layer of those of all joints; what has other shapes from joint to joint stays as it is."""
    found: dict[str, dict[int, str]] = {}
    joined = dict(tensors)
    for name in tensors:
        if named := re.fullmatch(r"(head\.offset_\w+\.)(\d+)\.(.+)", name):
            found.setdefault(named[1] + named[3], {})[int(named[2])] = name
    for ours, names in found.items():
        joints = [tensors[names[joint]] for joint in sorted(names)]
        if len({tensor.shape for tensor in joints}) == 1:
            for name in names.values():
                del joined[name]
            joined[ours] = torch.cat(joints) if joints[0].ndim else joints[0]
    for ours in found:
        shift, matrix = ours, ours.replace(".translation_conv.", ".transform_matrix_conv.")
        if shift != matrix and len(joined.get(matrix, ())) == 2 * len(joined.get(shift, ())):
            shape = joined[matrix].shape[1:]
            rows = joined[matrix].view(-1, 2, 2, *shape), joined.pop(shift).view(-1, 2, 1, *shape)
            joined[matrix] = torch.cat(rows, dim=2).view(-1, *shape)
    return joined


def _reorder_links(weight: Tensor) -> Tensor:
    """The columns of the first layer of a rescoring net, as `RescoringNet.links` has them."""
    order, turned = _LINKS[weight.shape[1]], _TURNED[weight.shape[1]]
    signs = torch.ones(len(order)).to(weight)
    signs[list(turned)] = -1
    vectors, lengths, scores = weight.split([2 * len(order), len(order), weight.shape[1] - 3 * len(order)], dim=1)
    there = torch.tensor(order).argsort()
    vectors = (vectors.unflatten(1, (-1, 2)) * signs[:, None])[:, there].flatten(1)
    return torch.cat([vectors, lengths[:, there], scores], dim=1)


def _official_settings(checkpoint: Mapping, names: Collection[str]) -> dict[str, dict]:
    return {"backbone": {"fuse_upsample": "nearest"}}


register_format(
    Format("official DEKR", lambda names: OFFICIAL in names, _from_official, _official_settings),
    Format(
        "mmpose DEKR",
        lambda names: MMPOSE_1 in names or MMPOSE_0 in names,
        _from_mmpose,
        lambda checkpoint, _: read_keypoints(checkpoint),
    ),
)
