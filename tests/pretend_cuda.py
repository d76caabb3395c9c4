"""CUDA tensors whose numbers lie on the CPU: what reads values (`nonzero`, `.cpu()`, a mask) runs without a GPU, too.

torch's fake tensors have no values, so a detector's training and everybody's decoding cannot be run on them. Here every
operation is computed on the CPU, and refused where CUDA would refuse it: tensors of several devices, unless one of them
is a single number, a list of places to index with, or what is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default, aten.copy.default}
INDEXES = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


@contextmanager
def pretend_cuda(monkeypatch) -> Iterator[None]:
    """What is made inside on "cuda" is an `OnCuda`; mixed precision is on as on a GPU that has bfloat16."""
    fake_driver(monkeypatch)
    torch._C._set_only_lift_cpu_tensors(True)  # lists become tensors on the CPU before they are moved
    try:
        with _Mode():
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)


def fake_driver(monkeypatch) -> None:
    """Let torch get as far as an operation on CUDA without a driver; mixed precision is not turned off."""
    torch._C._ensureCUDADeviceGuardSet()
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)  # of its own operations the CPU has none
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args, **kwargs: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda *args: None)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *args: None)
    monkeypatch.setattr(torch.cuda, "default_generators", [torch.Generator()])


class OnCuda(torch.Tensor):
    """A tensor that says it lies on CUDA."""

    @staticmethod
    def __new__(cls, values):
        options = {"strides": values.stride(), "storage_offset": values.storage_offset(), "dtype": values.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, values.shape, device="cuda:0", **options)

    def __init__(self, values):
        self.values = values

    def __repr__(self):
        return f"OnCuda({self.values})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args, kwargs):
    """Compute an operation on the CPU, and say where its result lies."""
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.Tensor)]
    if func not in COPIES:
        compared = [args[0], *args[2:3]] if func in INDEXES else tensors
        kinds = {one.device.type for one in compared if isinstance(one, torch.Tensor) and one.ndim}
        if len(kinds) > 1:
            raise RuntimeError(f"{func}: tensors on {' and '.join(sorted(kinds))}")
    asked = kwargs.get("device")
    if asked is not None:
        place = torch.device(asked).type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif func in COPIES:
        place = args[0].device.type
    else:
        place = "cuda" if any(one.device.type == "cuda" for one in tensors) else "cpu"
    values = tree_map_only(OnCuda, lambda one: one.values, (args, kwargs))
    out = func(*values[0], **values[1])
    if place == "cuda":
        out = tree_map_only(torch.Tensor, OnCuda, out)
    return return_and_correct_aliasing(func, args, kwargs, out)
