"""Gradients of branches on the backbone, combined by an aggregator of torchjd instead of added.

An experiment for branches whose gradients point apart. What a branch of small losses needs is a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from hrtoolkit.engine.gradients import gradients_by_branch
from hrtoolkit.errors import UserError
from hrtoolkit.model import Model

# Those of torchjd that keep nothing from step to step and need no further package.
Aggregator = Literal["AlignedMTL", "ConFIG", "IMTLG", "MGDA", "Mean", "PCGrad", "Sum", "UPGrad"]
AGGREGATORS = get_args(Aggregator)
RIDGE = 1e-4  # added to Gramians of trace 1, as torchjd's own projector does: they may be singular


def build_aggregator(name: Aggregator) -> Callable[[Tensor], Tensor]:
    """An aggregator of torchjd: `aggregator(gradients [N, P]) -> gradient [P]`.

    Raises:
        UserError: torchjd is not installed.
    """
    try:
        import torchjd.aggregation
    except ImportError as error:
        text = f"torchjd cannot be imported ({error}); install it: pip install 'hrtoolkit[aggregators]'"
        raise UserError(text) from error
    options: dict[str, Any] = {"projector": project} if name == "UPGrad" else {}
    return getattr(torchjd.aggregation, name)(**options)


def project(weights: Tensor, gramian: Tensor) -> Tensor:
    """Weights of gradients whose combinations lie nearest to given ones and oppose none of the gradients.

    In place of torchjd's own, which asks for packages under the GPL. For each u it finds the v >= u of least v'Gv
    (proposition 1 of arXiv:2406.16232) as v = u + z: with G = L L', z >= 0 of least |L'z + L'u| is non-negative least
    squares.

    Args:
        weights: [M, N], one combination a row.
        gramian: [N, N], of the gradients.

    Returns:
        [M, N].
    """
    from scipy.optimize import nnls  # takes half a second, which whoever checks a config need not wait for

    lengths = gramian.double().cpu().numpy()
    root = np.linalg.cholesky(lengths / np.trace(lengths) + RIDGE * np.eye(len(lengths))).T
    found = [u + nnls(root, -root @ u)[0] for u in weights.double().cpu().numpy()]
    return weights.new_tensor(np.array(found))


class Aggregation:
    """Gives a step's losses as one whose gradient is what an aggregator makes of those of the branches.

    On the backbone, that is: what a head or a neck is told comes from its own branch alone. The gradients of the
    branches are averaged over the processes before they are combined: to combine first would give another step.

    Args:
        model: with named branches.
        aggregator: see `build_aggregator`.
    """

    def __init__(self, model: Model, aggregator: Callable[[Tensor], Tensor]):
        self.model = model
        self.aggregator = aggregator

    def __call__(self, losses: Mapping[str, Tensor]) -> Tensor:
        """One number whose gradient is the step's; its value says nothing.

        Args:
            losses: as the model gives them in mode "loss".
        """
        shared = [one for one in self.model.backbone.parameters() if one.requires_grad]
        known = {id(one) for one in shared}
        others = [one for one in self.model.parameters() if one.requires_grad and id(one) not in known]
        rows, own = gradients_by_branch(self.model, losses, shared, others)
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        if several:
            dist.all_reduce(rows)
            rows /= dist.get_world_size()
        there = rows.any(dim=1)  # a branch without truth has no say
        combined = self.aggregator(rows[there]) if there.any() else rows.sum(dim=0)
        if several:  # an aggregator may draw lots
            dist.broadcast(combined, 0)
        parts = combined.split([one.numel() for one in shared])
        terms = [(w.flatten() * g).sum() for w, g in zip(shared, parts, strict=True)]
        terms += [(w * g).sum() for w, g in zip(others, own, strict=True)]
        return torch.stack(terms).sum()
