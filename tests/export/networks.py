"""A small network as an ONNX file, with names as an export has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy import ndarray
from onnx import helper, numpy_helper

CHANNELS = 8


def write_network(path: Path) -> Path:
    """Two convolutions, a sum, a head, and what decodes its heatmaps: their squares, as `points`."""
    rng = np.random.default_rng(0)

    def conv(module: str, source: str, given: int, wanted: int) -> tuple[list, list, str]:
        weight = rng.normal(0, (9 * given) ** -0.5, (wanted, given, 3, 3)).astype(np.float32)
        bias = rng.normal(0, 0.1, wanted).astype(np.float32)
        name = f"{module}/Conv"
        node = helper.make_node("Conv", [source, f"{module}.weight", f"{module}.bias"], [name], name, pads=[1, 1, 1, 1])
        tensors = [numpy_helper.from_array(weight, f"{module}.weight"), numpy_helper.from_array(bias, f"{module}.bias")]
        return [node], tensors, name

    def simple(kind: str, module: str, *sources: str, output: str | None = None) -> tuple[list, list, str]:
        name = f"{module}/{kind}"
        return [helper.make_node(kind, list(sources), [output or name], name)], [], output or name

    nodes: list = []
    tensors: list = []

    def add(part: tuple[list, list, str]) -> str:
        nodes.extend(part[0])
        tensors.extend(part[1])
        return part[2]

    stem = add(simple("Relu", "backbone.relu", add(conv("backbone.conv1", "images", 3, CHANNELS))))
    branch = "backbone.stage2.0.branches.0.0"
    y = add(conv(f"{branch}.conv1", stem, CHANNELS, CHANNELS))
    y = add(simple("Relu", f"{branch}.relu", add(simple("Add", branch, y, stem))))
    heatmaps = add(conv("head.final_layer", y, CHANNELS, 4))
    nodes[-1].output[0] = heatmaps = "heatmaps"
    add(simple("Mul", "decode", heatmaps, heatmaps, output="points"))
    shape = ["batch", 3, 16, 16]
    wanted = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 4, 16, 16])
        for name in ("heatmaps", "points")
    ]
    images = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "network", [images], wanted, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def network_inputs(count: int) -> list[dict[str, ndarray]]:
    """Inputs of that network."""
    rng = np.random.default_rng(1)
    return [{"images": rng.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(count)]
