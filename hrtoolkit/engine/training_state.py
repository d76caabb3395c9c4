"""Whether a checkpoint holds a training to go on with, looked at before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.optim import Optimizer

from hrtoolkit.errors import CheckpointError, shorten

# What torch's optimisers keep in the shape of their parameters. Fused updates trust it and would write beyond.
SHAPED = (
    *("exp_avg", "exp_avg_sq", "exp_inf", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg"),
    *("acc_delta", "sum", "prev", "step_size", "ax"),
)


def check_training_state(checkpoint: Mapping, optimizer: Optimizer, label: str) -> None:
    """Make sure that a run can go on from what a checkpoint holds.

    Args:
        checkpoint: as it was read.
        optimizer: of the run.
        label: what messages call the checkpoint.

    Raises:
        CheckpointError: it is no checkpoint of a training, something is missing or of another type, or the optimiser's
            state does not fit the parameters.
    """
    meta, stored = checkpoint.get("meta"), checkpoint.get("optimizer")
    if stored is None or not isinstance(meta, Mapping) or "hrtoolkit_version" not in meta:
        raise CheckpointError(f"{label}: holds no training state; resume from the last.pth of a run")
    progress = checkpoint.get("progress")
    progress = progress if isinstance(progress, Mapping) else {}
    sound = {
        **{name: _is_count(meta.get(name)) for name in ("epoch", "samples", "validated_epoch")},
        "history": isinstance(meta.get("history"), list) and all(isinstance(one, dict) for one in meta["history"]),
        "state_dict": _holds(checkpoint.get("state_dict"), Tensor),
        "progress": _is_count(progress.get("summed")) and _holds(progress.get("sums"), Tensor),
        "optimizer": _is_optimizer_state(stored),
    }
    if not all(sound.values()):
        parts = ", ".join(name for name, fine in sound.items() if not fine)
        raise CheckpointError(
            f"{label}: its training state is not whole ({parts}); resume from another one, or start a run with "
            "load_from, which reads the weights alone"
        )
    if wrong := _misfits(stored, optimizer):
        raise CheckpointError(
            f"{label}: what its optimiser remembers does not fit the parameters ({shorten(wrong, 3)}); resume from "
            "another one, or start a run with load_from, which reads the weights alone"
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _holds(value: object, kind: type) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, kind) for one in value.values())


def _is_optimizer_state(stored: object) -> bool:
    if not isinstance(stored, Mapping) or not _holds(stored.get("state"), Mapping):
        return False
    groups = stored.get("param_groups")
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) for group in groups):
        return False
    return all(isinstance(g.get("params"), list) and all(_is_count(i) for i in g["params"]) for g in groups)


def _misfits(stored: Mapping, optimizer: Optimizer) -> list[str]:
    """What is stored for a parameter in another shape than its own."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    indices = [index for group in stored["param_groups"] for index in group["params"]]
    wrong = []
    for index, parameter in zip(indices, parameters, strict=False):  # other numbers of them are torch's own error
        for name, value in stored["state"].get(index, {}).items():
            shape, expected = getattr(value, "shape", None), parameter.shape
            if name in SHAPED and value is not None and shape != expected:
                found = type(value).__name__ if shape is None else tuple(shape)
                wrong.append(f"{name} of parameter {index}: {found}, not {tuple(expected)}")
            elif name == "step" and isinstance(value, Tensor) and value.numel() != 1:
                wrong.append(f"step of parameter {index}: {value.numel()} numbers, not one")
    return wrong
