"""BatchNorm of a backbone that is shared by branches of different views.

Whole images and crops of them have other statistics. Running statistics belong to the view and not to the data set:
when predicting nobody knows the source of a picture, but the view is known.
"""

from __future__ import annotations

import copy
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hrtoolkit.errors import OptionError

# What belongs to each view: nothing, running statistics, or scale and shift too.
Norm = Literal["shared", "per_view", "per_view_affine"]
NORMS: tuple[Norm, ...] = get_args(Norm)
STATISTICS = ("running_mean", "running_var")
AFFINE = ("weight", "bias")


class Seen:
    """Which view's images a backbone receives; all its BatchNorms hold the same one."""

    view = 0  # the number of the view


class ViewBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm with a row of running statistics for each view, [V, C]; names of tensors are those of BatchNorm.

    Args:
        norm: the one that it replaces, whose values all views start with.
        seen: says which view's row counts.
        views: V.
        affine: scale and shift are [V, C] too.
    """

    def __init__(self, norm: nn.BatchNorm2d, seen: Seen, views: int, affine: bool):
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.seen = seen
        self.by_view = (*STATISTICS, *AFFINE) if affine else STATISTICS
        for name in STATISTICS:
            self.register_buffer(name, getattr(norm, name).repeat(views, 1))
        for name in AFFINE:
            value = getattr(norm, name)
            own = nn.Parameter(value.detach().repeat(views, 1), value.requires_grad) if affine else value
            self.register_parameter(name, own)
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        values = [getattr(self, name) for name in (*STATISTICS, *AFFINE)]
        mean, var, weight, bias = (
            value[self.seen.view] if name in self.by_view else value
            for name, value in zip((*STATISTICS, *AFFINE), values, strict=True)
        )
        assert self.momentum is not None and self.num_batches_tracked is not None, "as our networks have them"
        if self.training:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(x, mean, var, weight, bias, self.training, self.momentum, self.eps)


def split_by_view_(backbone: nn.Module, views: int, affine: bool) -> Seen:
    """Give every BatchNorm of a backbone, in place, rows for each of several views.

    Args:
        backbone: with its first weights.
        views: how many.
        affine: scale and shift are of each view too.

    Returns:
        what to tell which view comes next.

    Raises:
        OptionError: one of its BatchNorms is of a kind of its own.
    """
    seen = Seen()
    for module in list(backbone.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, ViewBatchNorm2d(child, seen, views, affine))
            elif isinstance(child, _BatchNorm) and not isinstance(child, ViewBatchNorm2d):
                raise OptionError(
                    f"norm: {type(child).__name__} of {type(backbone).__name__} has no statistics for each view; "
                    "set model.norm='shared'"
                )
    return seen


def spread_over_views(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a model by name, in which what is of one view [C] is given to each of the model's."""
    spread = dict(tensors)
    for path, module in model.named_modules():
        if isinstance(module, ViewBatchNorm2d):
            for name in module.by_view:
                own = getattr(module, name)
                value = spread.get(f"{path}.{name}")
                if value is not None and value.shape == own.shape[1:]:
                    spread[f"{path}.{name}"] = value.expand_as(own)
    return spread


class BackboneOfViews(nn.Module):
    """A backbone once for each view, with plain BatchNorms, which can be folded.

    Args:
        backbone: whose BatchNorms are split.
        seen: that it was split with.
        views: how many there are.
    """

    def __init__(self, backbone: nn.Module, seen: Seen, views: int):
        super().__init__()
        self.seen = seen
        self.of_view = nn.ModuleList(_take_view(backbone, view) for view in range(views))
        self.out_channels, self.out_strides = backbone.out_channels, backbone.out_strides

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.of_view[self.seen.view](images)


def _take_view(backbone: nn.Module, view: int) -> nn.Module:
    """A copy of a backbone with the BatchNorms that one view has."""
    backbone = copy.deepcopy(backbone)
    for module in list(backbone.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ViewBatchNorm2d):
                norm = nn.BatchNorm2d(child.num_features, child.eps, child.momentum)
                state = child.state_dict()
                norm.load_state_dict(state | {one: state[one][view] for one in child.by_view})
                setattr(module, name, norm.to(child.weight.device).train(child.training))
    return backbone


class RecallView:
    """A context in which a block sees the view again that it saw when this was made.

    Args:
        block: part of a backbone, or all of it.
    """

    def __init__(self, block: nn.Module):
        self.seen = next((one.seen for one in block.modules() if isinstance(one, ViewBatchNorm2d)), None)
        self.view = None if self.seen is None else self.seen.view

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *error: object) -> None:
        self._swap()

    def _swap(self) -> None:
        if self.seen is not None and self.view is not None:
            self.seen.view, self.view = self.view, self.seen.view
