"""The step of the optimiser: gradient accumulation, clipping and mixed precision, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn


class DeviceOptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper with mixed precision on CPU and CUDA alike.

    Args:
        precision: of convolutions and matrix products; weights and losses stay float32.
        **options: `optimizer`, `accumulative_counts`, `clip_grad` as in mmengine.
    """

    def __init__(self, precision: Literal["float32", "bfloat16", "float16"] = "float32", **options):
        super().__init__(**options)
        self.dtype = getattr(torch, precision)
        # Only float16 is so short of range that gradients need scaling.
        self.scaler = torch.amp.GradScaler(enabled=self.dtype == torch.float16)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with (
            super().optim_context(model),
            torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32),
        ):
            yield

    def backward(self, loss: Tensor, **options) -> None:
        super().backward(self.scaler.scale(loss), **options)

    def step(self, **options) -> None:
        if self.clip_grad_kwargs:
            self.scaler.unscale_(self.optimizer)
            # mmengine logs the norm, and waits for the device to know it.
            parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
            self.clip_func(parameters, **self.clip_grad_kwargs)
        self.scaler.step(self.optimizer, **options)
        self.scaler.update()

    def state_dict(self) -> dict:
        return {**super().state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        state_dict = dict(state_dict)
        self.scaler.load_state_dict(state_dict.pop("scaler"))
        super().load_state_dict(state_dict)
