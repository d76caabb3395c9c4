"""What losses are divided by, over all processes.

Processes that each divide by a count of their own, and average their gradients, weigh a pixel of a process with few
labels more than one of a process with many: their training is another one than that of a single process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

SLOTS = 16  # losses that a branch may have: a process without truth of a branch does not know how many there are
Losses = Mapping[str, Tensor | int]  # what `Head.loss` gives


def divide(
    losses: Mapping[str, Losses], rows: Mapping[str, int], branches: Sequence[str], device: torch.device
) -> tuple[dict[str, dict[str, Tensor]], Tensor]:
    """Losses whose gradients, averaged over the processes, are those of one process with the whole batch.

    Args:
        losses: what the heads gave, by branch, of those with truth in this process; "count_NAME" is what "loss_NAME"
            was divided by, and a loss without one was divided by the number of inputs.
        rows: how many inputs that was, by branch.
        branches: all of them; with several processes all call this, whatever truth they have.
        device: of the model.

    Returns:
        losses by branch and name, without counts, and what those of each branch come to over all processes [N]; NaN
        where none has truth.
    """
    told = {
        name: {key: one for key, one in some.items() if isinstance(one, Tensor) and not key.startswith("count_")}
        for name, some in losses.items()
    }
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        nothing = torch.full((), torch.nan, device=device)
        return told, torch.stack([sum_losses(told[name]).detach() if name in told else nothing for name in branches])
    zero, one = torch.zeros((), device=device), torch.ones((), device=device)
    totals, counts, names = [], [], {}
    for name in branches:
        names[name] = [key for key in told.get(name, ()) if "loss" in key]
        assert len(names[name]) <= SLOTS, f"{name} has more than {SLOTS} losses"
        for key in names[name]:
            count = losses[name].get(key.replace("loss_", "count_", 1), rows[name])
            counts.append(one * count)
            totals.append(told[name][key].detach().float() * count)
        empty = SLOTS - len(names[name])
        totals += [zero] * empty
        counts += [zero] * empty
    there = [one if name in losses else zero for name in branches]
    own = torch.stack(counts)
    summed = torch.stack([*totals, *counts, *there])
    dist.all_reduce(summed)
    size = len(branches) * SLOTS
    all_totals, all_counts, there_anywhere = summed.split([size, size, len(branches)])
    all_counts = all_counts.clamp(min=torch.finfo(torch.float32).tiny)
    shares = (dist.get_world_size() * own / all_counts).view(-1, SLOTS)
    settled = {
        name: some | {key: some[key] * shares[branches.index(name), i] for i, key in enumerate(names[name])}
        for name, some in told.items()
    }
    values = (all_totals / all_counts).view(-1, SLOTS).sum(dim=1)
    return settled, torch.where(there_anywhere > 0, values, torch.nan)


def sum_losses(losses: Mapping[str, Tensor]) -> Tensor:
    """The sum of what a head gives to be minimised: what has "loss" in its name."""
    return torch.stack([value for key, value in losses.items() if "loss" in key]).sum()
