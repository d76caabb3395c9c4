"""Every kind of network on a GPU, without one: a training step, a forward pass, predictions.

torch's fake tensors know shapes, types and devices, and refuse an operation whose tensors lie on several devices: what
was left on the CPU fails here and not at the first user with a GPU. They have no values, so a detector's loss and what
`predict` reads off are run on `pretend_cuda`. The backward pass is of torch's own operations alone, and its engine asks
the driver for streams, so here the gradients are made up.

Where there is a GPU the same goes through it, and nothing in a training step waits for it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_flatten, tree_map_only

from hrtoolkit import build_model
from hrtoolkit.config import load_config
from hrtoolkit.data.loading import Collate
from hrtoolkit.engine.optim import DeviceOptimWrapper

from .pretend_cuda import fake_driver, pretend_cuda
from .test_configs import SINGLE, left_open, name_of
from .test_contracts import OURS, configs_by_part, make_inputs, make_targets, shrink, small_config

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="here is no GPU")


def one_of_each():
    """One config of each way to build a network: of other parts, or with another switch on."""
    found = {}
    for path in SINGLE:
        settings = dict(_walk(load_config(path, left_open(path)).model.to_dict()))
        kind = {name: value for name, value in settings.items() if name.endswith("type") or value is True}
        found.setdefault((path.parent.name, str(sorted(kind.items()))), path)
    return list(found.values())


def _walk(value, name=""):
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _walk(one, f"{name}.{key}")
    else:
        yield name, value


each_kind = pytest.mark.parametrize("path", one_of_each(), ids=name_of)
each_precision = pytest.mark.parametrize("precision", ("float32", "bfloat16"))


def make_batch(config):
    """A training batch as a loader gives it."""
    branch = build_model(config).branch()
    inputs, _ = make_inputs(branch.view)
    _, targets = make_targets(branch.head, inputs)
    inputs = [one._replace(targets=truth) for one, truth in zip(inputs, targets, strict=True)]
    return Collate(branch.view.multiple, branch.view.smallest)(inputs)


class MadeUpGradients(DeviceOptimWrapper):
    def backward(self, loss, **options):
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)


def move(model):
    """What `model.to("cuda")` does, which cannot swap tensors of other classes: parameters and buffers."""
    moved = {}
    for module in model.modules():
        for own in (module._parameters, module._buffers):
            for name, tensor in own.items():
                if tensor is not None and tensor not in moved:
                    new = tensor.detach().to("cuda")
                    moved[tensor] = nn.Parameter(new, tensor.requires_grad) if name in module._parameters else new
                if tensor is not None:
                    own[name] = moved[tensor]
    return model


def make_wrapper(model, precision="float32", kind=MadeUpGradients):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return kind(torch.optim.SGD(trained, 1e-3), clip_grad=dict(max_norm=1.0), precision=precision)


def forward(model, batch, wrapper):
    images = model.eval().data_preprocessor(dict(batch))["images"]
    with torch.no_grad(), wrapper.optim_context(model):
        return model(images)


def devices(content):
    return {one.device.type for one in tree_flatten(content)[0] if isinstance(one, torch.Tensor)}


@without_gpu
@each_precision
@each_kind
def test_fake_cuda_trains_and_runs(path, precision, monkeypatch):
    config = shrink(load_config(path, left_open(path)))
    batch = make_batch(config)
    fake_driver(monkeypatch)
    with FakeTensorMode() as mode:
        model = move(build_model(config))
        wrapper = make_wrapper(model, precision)
        batch = tree_map_only(torch.Tensor, mode.from_tensor, batch)
        outputs = forward(model, batch, wrapper)
        half = {one.dtype for one in tree_flatten(outputs)[0]} == {torch.bfloat16}
        assert devices(outputs) == {"cuda"} and half == (precision == "bfloat16")
        if config.model.view.type != "FitInside":
            assert devices(model.train().train_step(batch, wrapper)) == {"cuda"}


@without_gpu
@each_precision
@pytest.mark.parametrize("head", [name for name, cls in OURS["head"].items() if name in configs_by_part()])
def test_pretended_cuda_trains_and_predicts(head, precision, monkeypatch):
    config = small_config(head)
    batch = make_batch(config)
    torch.manual_seed(0)
    model = build_model(config)
    exact = precision == "float32"  # half precision takes a CPU long, and is compared nowhere
    expected = predict(model, batch, make_wrapper(model, precision)) if exact else None
    with pretend_cuda(monkeypatch):
        move(model)
        wrapper = make_wrapper(model, precision)
        found = predict(model, batch, wrapper)
        losses = model.train().train_step(dict(batch), wrapper)
    assert devices(losses) == {"cuda"}
    if exact:
        compare(found, expected)


def predict(model, batch, wrapper):
    model.eval().flip_test = model.branch().head.flips
    with torch.no_grad(), wrapper.optim_context(model):
        return model(**model.data_preprocessor(dict(batch, targets=None)), mode="predict")


def compare(found, expected, tolerance=0.0):
    pairs = zip(tree_flatten(found)[0], tree_flatten(expected)[0], strict=True)
    for one, other in pairs:
        if isinstance(other, np.ndarray):
            np.testing.assert_allclose(one, other, atol=tolerance)


@with_gpu
@each_precision
@each_kind
def test_a_gpu_trains_without_waiting_and_predicts_as_a_cpu(path, precision):
    config = shrink(load_config(path, left_open(path)))
    batch = make_batch(config)
    torch.manual_seed(0)
    model = build_model(config)
    expected = predict(model, batch, make_wrapper(model))
    model.to("cuda")
    wrapper = make_wrapper(model, precision, DeviceOptimWrapper)
    found = predict(model, batch, wrapper)
    if precision == "float32":
        compare(found, expected, 1e-2)
    model.train().train_step(dict(batch), wrapper)
    batch["images"] = batch["images"].pin_memory()
    batch["targets"] = tree_map_only(torch.Tensor, lambda tensor: tensor.pin_memory(), batch["targets"])
    # torchvision's detector asks how many boxes overlap.
    torch.cuda.set_sync_debug_mode("default" if config.model.view.type == "FitInside" else "error")
    try:
        losses = model.train_step(dict(batch), wrapper)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert devices(losses) == {"cuda"} and all(torch.isfinite(one).all() for one in losses.values())
