"""How hard each branch pulls at the shared backbone, and whether branches pull the same way."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from torch import Tensor

from hrtoolkit.engine.runner import Runner
from hrtoolkit.model import Model

log = logging.getLogger(__name__)
BATCHES = 10  # an epoch: one batch says nothing, cosines of single ones lie anywhere between -0.6 and 0.8


class Gradients(Hook):
    """Tells of each branch the length of its gradient on the backbone, and the mean cosine with those of the others.

    Measured on ten batches an epoch, in each process by itself, which costs a backward pass a branch and batch.
    """

    priority = "BELOW_NORMAL"

    def before_train_epoch(self, runner: Runner) -> None:
        self.sums: Tensor | None = None
        self.counted = 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        every = max(len(runner.train_dataloader) // BATCHES, 1)
        step = runner.train_loop.step
        model = runner.plain_model
        model.watch_losses = None
        if step % every == 0 and step // every < BATCHES:
            model.watch_losses = lambda losses: self._measure(model, losses)

    def _measure(self, model: Model, losses: Mapping[str, Tensor]) -> None:
        lengths_and_cosines = measure_gradients(model, losses)
        self.sums = lengths_and_cosines if self.sums is None else self.sums + lengths_and_cosines
        self.counted += 1

    def after_train_epoch(self, runner: Runner) -> None:
        runner.plain_model.watch_losses = None
        if self.sums is None:
            return
        means = self.sums / self.counted
        all_reduce(means, "mean")
        names = list(runner.plain_model.branches)
        numbers = dict(
            zip(
                (f"{name}/{what}" for what in ("gradient", "cosine") for name in names),
                means.flatten().tolist(),
                strict=True,
            )
        )
        runner.history[-1].update(numbers)
        told = ", ".join(
            f"{name} {numbers[f'{name}/gradient']:.3g} ({numbers[f'{name}/cosine']:+.2f})" for name in names
        )
        log.info("gradients on the backbone (and their cosine with the others'): %s", told)


def measure_gradients(model: Model, losses: Mapping[str, Tensor]) -> Tensor:
    """Lengths of the branches' gradients on the backbone, and their mean cosine with those of the others, [2, N].

    Args:
        model: with named branches.
        losses: as the model gives them in mode "loss"; the graph is kept. A branch without any counts as 0.
    """
    weights = [one for one in model.backbone.parameters() if one.requires_grad]
    rows = [_gradient(_losses_of(name, losses), weights) for name in model.branches]
    gradients = torch.stack(rows)  # [N, P]
    lengths = gradients.norm(dim=1)
    unit = gradients / lengths.clamp(min=torch.finfo(lengths.dtype).tiny)[:, None]
    cosines = unit @ unit.T
    others = (cosines.sum(dim=1) - cosines.diagonal()) / max(len(rows) - 1, 1)
    return torch.stack([lengths, others])


def _losses_of(branch: str, losses: Mapping[str, Tensor]) -> list[Tensor]:
    """What of a branch is minimised."""
    return [loss for name, loss in losses.items() if name.startswith(f"{branch}/loss") and loss.requires_grad]


def _gradient(losses: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Of the sum of some losses, as one vector."""
    if not losses:
        return torch.cat([torch.zeros_like(one).flatten() for one in weights])
    found = torch.autograd.grad(torch.stack([*losses]).sum(), weights, retain_graph=True, allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
    return torch.cat([one.flatten().float() for one in parts])
