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
    gradients, _ = gradients_by_branch(model, losses, weights)
    lengths = gradients.norm(dim=1)
    unit = gradients / lengths.clamp(min=torch.finfo(lengths.dtype).tiny)[:, None]
    cosines = unit @ unit.T
    others = (cosines.sum(dim=1) - cosines.diagonal()) / max(len(gradients) - 1, 1)
    return torch.stack([lengths, others])


def gradients_by_branch(
    model: Model, losses: Mapping[str, Tensor], shared: Sequence[Tensor], others: Sequence[Tensor] = ()
) -> tuple[Tensor, list[Tensor]]:
    """The gradient of each branch on shared parameters, one a row [N, P], and the sums of all on the others.

    Args:
        model: with named branches.
        losses: as the model gives them in mode "loss"; the graph is kept. A branch without any has a row of 0.
        shared: parameters that branches share.
        others: further ones.
    """
    rows = []
    sums = [torch.zeros_like(one) for one in others]
    for name in model.branches:
        own = [loss for key, loss in losses.items() if key.startswith(f"{name}/loss") and loss.requires_grad]
        found: Sequence[Tensor | None] = [None] * (len(shared) + len(sums))
        if own:
            every = [*shared, *others]
            found = torch.autograd.grad(torch.stack(own).sum(), every, retain_graph=True, allow_unused=True)
        parts = zip(shared, found, strict=False)
        rows.append(torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for w, g in parts]))
        for total, gradient in zip(sums, found[len(shared) :], strict=True):
            if gradient is not None:
                total += gradient
    return torch.stack(rows), sums
