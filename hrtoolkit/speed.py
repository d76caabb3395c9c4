"""Faster forms of a model: BatchNorm folded into convolutions for inference, and repeated blocks compiled."""

from __future__ import annotations

import copy
import inspect
import logging
from collections import Counter

import torch
from torch import fx, nn
from torch._inductor import config as inductor_config
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hrtoolkit.backbones.hrnet import Bottleneck, ExchangeModule
from hrtoolkit.model import Model
from hrtoolkit.norms import BackboneOfViews

log = logging.getLogger(__name__)


def fold(model: Model, dtype: torch.dtype = torch.float32) -> Model:
    """Make a copy for inference, in which every BatchNorm that can be is part of the convolution before it.

    A backbone whose views have BatchNorms of their own exists once a view afterwards.

    The copy gives the same heatmaps to 1e-4 in float32. Its parameters no longer have their official names: save the
    model that it was made from.

    Args:
        model: on any device, with its final weights; it stays as it is.
        dtype: in which backbone and neck compute, bfloat16 or float16 where the device has instructions for it; heads
            read float32.
    """
    folded = copy.deepcopy(model).eval()
    if folded.seen is None:
        fold_batchnorm_(folded.backbone)
    else:
        folded.backbone = BackboneOfViews(folded.backbone, folded.seen, len(folded.views))
        for backbone in folded.backbone.of_view:
            fold_batchnorm_(backbone)
    folded.backbone.to(dtype)
    for branch in folded.branches.values():
        maps = len(folded.backbone.out_channels)
        if branch.neck is not None:
            fold_batchnorm_(branch.neck, maps)
            branch.neck.to(dtype)
            maps = len(branch.neck.out_channels)
        fold_batchnorm_(branch.head, maps)
    for module in folded.modules():
        if isinstance(module, ExchangeModule):
            module.nest_sums = True
    return folded.to(memory_format=torch.channels_last)


def fold_batchnorm_(net: nn.Module, maps: int | None = None) -> list[str]:
    """Merge each BatchNorm that is the only reader of a convolution's output into that convolution, in place.

    Who reads what is traced. Left as they are: subclasses of `BatchNorm2d` (timm's have activations inside), those
    without running statistics, convolutions and normalisations that are used more than once, and nets whose `forward`
    cannot be traced.

    Args:
        net: in eval mode.
        maps: how many are in the list that it receives; None where it receives a tensor.

    Returns:
        names of the BatchNorms that became identities.
    """
    if not any(_is_batchnorm(module) for module in net.modules()):
        return []
    received = next(iter(inspect.signature(net.forward).parameters))
    try:
        graph = fx.Tracer().trace(net, None if maps is None else {received: [fx.PH] * maps})
    except (fx.proxy.TraceError, RuntimeError, TypeError) as error:
        log.warning("%s keeps its BatchNorms: its forward cannot be traced (%s)", type(net).__name__, error)
        return []
    modules = dict(net.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times_called = Counter(node.target for node in calls)
    folded = []
    for node in calls:
        norm, source = modules[node.target], next(iter(node.all_input_nodes), None)
        if source is None or source.op != "call_module" or not _is_batchnorm(norm):
            continue
        convolution = modules[source.target]
        if type(convolution) not in (nn.Conv2d, nn.ConvTranspose2d):
            continue
        # One reader, one call each: nobody else sees what changes.
        if len(source.users) == 1 and times_called[node.target] == times_called[source.target] == 1:
            transposed = type(convolution) is nn.ConvTranspose2d
            _replace(net, source.target, fuse_conv_bn_eval(convolution, norm, transposed))
            _replace(net, node.target, nn.Identity())
            folded.append(node.target)
    return folded


def compile_blocks(net: nn.Module) -> None:
    """Compile a net in place: for training the bottlenecks and exchange modules of an HRNet, each kind once.

    Parameters keep their names. Compiling happens in the first call with each batch and input size; torch keeps the
    code on disk.

    Args:
        net: backbone or whole model. In eval mode, and where it has no such blocks, it is compiled as a whole: its
            weights are taken for constants and laid out for the convolutions beforehand, so that blocks have no code in
            common. Do not change them later.
    """
    if not net.training:
        # Kernels called from C++: from Python the three hundred convolutions of one image take a sixth longer.
        on_cpu = all(parameter.device.type == "cpu" for parameter in net.parameters())
        _compile(net, {"freezing": True, "cpp_wrapper": on_cpu})
        return
    blocks: list[nn.Module] = [module for module in net.modules() if isinstance(module, Bottleneck | ExchangeModule)]
    for block in blocks or [net]:
        _compile(block, {})


def _compile(module: nn.Module, options: dict) -> None:
    module.compile(dynamic=False, options=options or None)
    compiled = module._compiled_call_impl
    assert compiled is not None, "torch keeps what it compiled there"

    def call(*args: object, **kwargs: object) -> object:
        # Tracing reads the global settings, in the first call with each input size. All blocks of a kind are variants
        # of one code, by channels and sizes; torch gives up after eight by default.
        limit = max(torch._dynamo.config.cache_size_limit, 64)
        with (
            torch._dynamo.config.patch(cache_size_limit=limit),
            inductor_config.patch(freezing=options.get("freezing", False)),
        ):
            return compiled(*args, **kwargs)

    module._compiled_call_impl = call


def _is_batchnorm(module: nn.Module) -> bool:
    return type(module) in (nn.BatchNorm2d, nn.SyncBatchNorm) and bool(module.track_running_stats)


def _replace(net: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(net.get_submodule(parent), child, module)
