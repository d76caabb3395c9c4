"""Several processes: joining them, and BatchNorm over the batches of all."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.utils._pytree import tree_leaves

from hrtoolkit.errors import OptionError
from hrtoolkit.model import Model
from hrtoolkit.norms import ViewBatchNorm2d


def start_distributed() -> None:
    """Join the other processes when torchrun started this one: nccl on CUDA, gloo on the CPU."""
    if "LOCAL_RANK" not in os.environ or dist.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def synchronise_batchnorm(model: nn.Module) -> nn.Module:
    """Let every BatchNorm of a model, in place, normalise over the batches of all processes; names and weights stay.

    Raises:
        OptionError: views have BatchNorms of their own.
    """
    if any(isinstance(module, ViewBatchNorm2d) for module in model.modules()):
        raise OptionError(
            "sync_batchnorm: views have BatchNorms of their own here; leave it out, or set model.norm='shared'"
        )
    if torch.cuda.is_available():
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                synchronised = CpuSyncBatchNorm(child.num_features, child.eps, child.momentum)
                synchronised.load_state_dict(child.state_dict())
                synchronised.weight, synchronised.bias = child.weight, child.bias  # frozen ones stay frozen
                setattr(parent, name, synchronised.train(child.training))
    return model


def freeze_unread(model: Model) -> list[str]:
    """Freeze what no head reads, such as coarser outputs of a backbone: processes would wait for its gradients.

    Returns:
        the names of those parameters of the backbone and the necks.
    """
    view = model.branch(next(iter(model.branches))).view
    width, height = getattr(view, "input_size", (64, 64))
    before = {name: p for name, p in model.named_parameters() if p.requires_grad and ".head." not in f".{name}"}
    training = model.training
    try:
        images = torch.zeros(1, 3, height, width, device=next(model.parameters()).device)
        outputs = [one for one in tree_leaves(model.eval()(images)) if isinstance(one, Tensor) and one.requires_grad]
        gradients = torch.autograd.grad([one.sum() for one in outputs], list(before.values()), allow_unused=True)
    except (RuntimeError, TypeError, ValueError):  # a head that looks at other inputs than images alone
        return []
    finally:
        model.train(training)
    unread = [name for name, gradient in zip(before, gradients, strict=True) if gradient is None]
    for name in unread:
        before[name].requires_grad_(False)
    return unread


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batches of all processes, for the CPU, where torch's SyncBatchNorm refuses to run."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = all_reduce(values.new_tensor(values.numel() / values.shape[1]))
        mean = all_reduce(values.sum((0, 2, 3))) / count
        centered = values - mean[:, None, None]
        variance = all_reduce(centered.square().sum((0, 2, 3))) / count
        assert self.num_batches_tracked is not None and self.momentum is not None
        assert self.running_mean is not None and self.running_var is not None, "as our networks have them"
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(x)
