"""How the losses of a model's branches are weighed against each other.

Squared errors of heatmaps start a hundred times below cross-entropies: in a plain sum the branch with the smaller loss
learns nothing of the shared backbone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from hrtoolkit.errors import OptionError, suggest
from hrtoolkit.ranges import NotNegative
from hrtoolkit.registry import BALANCES

LEAST = 1e-3  # of a branch's first loss: what it is divided by at least


class BaseBalance(nn.Module):
    """What every kind of balance has.

    Args:
        branches: names of the model's branches.
        weights: of branches by name, 1 where none is given.

    Raises:
        OptionError: a weight is of no branch.
    """

    def __init__(self, branches: Sequence[str], weights: Mapping[str, NotNegative] | None = None):
        super().__init__()
        weights = weights or {}
        for name in weights:
            if name not in branches:
                hint = suggest(name, branches) or f"; there are {', '.join(branches)}"
                raise OptionError(f"weights: the model has no branch {name!r}{hint}")
        self.branches = tuple(branches)
        self.weights = [float(weights.get(name, 1)) for name in branches]

    def forward(self, losses: Mapping[str, Tensor], values: Tensor) -> dict[str, Tensor]:
        """What is summed and minimised, by branch.

        Args:
            losses: of this process's part of the batch, by branch; one without truth in it is left out.
            values: [N] of all branches, over all processes; NaN where none has truth.
        """
        raise NotImplementedError


class FirstLosses(BaseBalance):
    """What balances share that compare losses with the first of their branch, which checkpoints keep.

    Args:
        branches: names of the model's branches.
        weights: of branches by name, 1 where none is given.

    Raises:
        OptionError: a weight is of no branch.
    """

    first: Tensor

    def __init__(self, branches: Sequence[str], weights: Mapping[str, NotNegative] | None = None):
        super().__init__(branches, weights)
        self.register_buffer("first", torch.full((len(branches),), torch.nan))

    def note_first(self, values: Tensor) -> Tensor:
        """Keep the first loss of each branch; says which branches have theirs now, bool [N]."""
        begins = self.first.isnan() & values.isfinite()
        self.first.copy_(torch.where(begins, values, self.first))
        return begins


@BALANCES.register_module()
class FixedWeights(BaseBalance):
    """The losses as they are, times fixed weights.

    Args:
        branches: names of the model's branches.
        weights: of branches by name, 1 where none is given.

    Raises:
        OptionError: a weight is of no branch.
    """

    def forward(self, losses: Mapping[str, Tensor], values: Tensor) -> dict[str, Tensor]:
        return {
            name: weight * losses[name]
            for name, weight in zip(self.branches, self.weights, strict=True)
            if name in losses
        }


@BALANCES.register_module()
class RelativeLosses(FirstLosses):
    """Each branch's loss divided by its own value, over all processes, times a fixed weight.

    What is divided by counts as a number without a gradient, so that branches pull alike however large their losses
    are. It is not below a thousandth of the branch's first loss, or a branch that has learnt everything would be torn
    about by what is left.

    Args:
        branches: names of the model's branches.
        weights: of branches by name, 1 where none is given.

    Raises:
        OptionError: a weight is of no branch.
    """

    def forward(self, losses: Mapping[str, Tensor], values: Tensor) -> dict[str, Tensor]:
        self.note_first(values)
        divisors = torch.maximum(values, LEAST * self.first)
        return {
            name: self.weights[i] / divisors[i] * losses[name] for i, name in enumerate(self.branches) if name in losses
        }


@BALANCES.register_module()
class Uncertainties(FirstLosses):
    """Each branch's loss divided by a learned variance, whose logarithm is added (Kendall et al., arXiv:1705.07115).

    The variances start at the first losses: from 1 a small loss would wait for most of a training.

    Args:
        branches: names of the model's branches.
        weights: of branches by name, 1 where none is given.

    Raises:
        OptionError: a weight is of no branch.
    """

    def __init__(self, branches: Sequence[str], weights: Mapping[str, NotNegative] | None = None):
        super().__init__(branches, weights)
        self.log_variances = nn.Parameter(torch.zeros(len(branches)))

    def forward(self, losses: Mapping[str, Tensor], values: Tensor) -> dict[str, Tensor]:
        begins = self.note_first(values)
        with torch.no_grad():
            self.log_variances.copy_(torch.where(begins, values.log(), self.log_variances))
        # In all processes, also in those that have no truth of a branch: gradients are averaged.
        spreads = torch.where(values.isnan(), 0, self.log_variances)
        return {
            name: self.weights[i] * (losses.get(name, 0) / self.log_variances[i].exp() + spreads[i])
            for i, name in enumerate(self.branches)
        }
