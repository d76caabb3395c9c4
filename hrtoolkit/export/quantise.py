"""Networks in 8-bit integers: ranges from real inputs, and groups of layers that go back to float32.

A network is calibrated once. Each choice of what stays in float32 is then a file written in a second.
"""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from numpy import ndarray

from hrtoolkit.errors import UserError
from hrtoolkit.export.extras import errors_only, import_extra, without_telemetry
from hrtoolkit.files import write_atomically

log = logging.getLogger(__name__)

Inputs = Mapping[str, ndarray]  # of one run of a network, by name
TOLD = 20  # inputs between two lines of progress; those of a large network take a second each

# What ONNX Runtime computes in int8 from end to end; a layer of another kind between two of these costs a conversion.
ONNX_OPERATORS = ("Conv", "Gemm", "Add", "Relu", "Resize", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool")

_GROUPS = [
    (re.compile(r"backbone\.(?:.+\.)?stage\d+\.\d+(?=\.branches\.)"), ".branches"),
    (re.compile(r"backbone\.(?:.+\.)?stage\d+\.\d+(?![^.])"), ".exchange"),
    (re.compile(r"backbone\.(?:.+\.)?(?:layer|transition)\d+(?![^.])"), ""),
    (re.compile(r"backbone(?![^.])"), ".stem"),
    (re.compile(r"(?:branches\.[^.]+\.)?(?:neck|head)(?![^.])"), ""),
]


def group_of(node: str) -> str | None:
    """The part of a network that a node of its graph belongs to.

    Each exchange module of an HRNet is two: its branches, and what it exchanges.

    Args:
        node: its name, which begins with that of its module, "backbone.stage3.1.branches.0.2.conv1/Conv".

    Returns:
        such as "backbone.stage3.1.branches"; None for what belongs to no layer and is never quantised: normalising,
        decoding.
    """
    module = node.partition("/")[0]
    for pattern, part in _GROUPS:
        if found := pattern.match(module):
            return found[0] + part
    return None


class Int8(ABC):
    """A network whose layers compute in int8, but for those that are kept.

    Attributes:
        groups: that compute in int8, in the order of the graph.
        left: nodes that never do.

    Args:
        model: the ONNX file of the network in float32; names of its nodes are as for `group_of`.
        inputs: real ones, a hundred or so, from which the ranges of all values are taken.

    Raises:
        UserError: there are no inputs, or a package is missing.
    """

    suffix: str  # of the files

    def __init__(self, model: Path, inputs: Sequence[Inputs]):
        if not inputs:
            raise UserError(
                "int8 takes the ranges of its numbers from real images, and there are none: give --data-root with the "
                "model's data, or --images"
            )
        onnx = import_extra("onnx", "onnx")
        self.model = model
        self.inputs = inputs
        graph = onnx.load(model, load_external_data=False).graph
        self.left = _left_alone(graph)
        groups = (group_of(node.name) for node in graph.node if node.name not in self.left)
        self.groups = [group for group in dict.fromkeys(groups) if group is not None]
        log.info("taking the ranges for int8 from %d inputs", len(inputs))
        self._quantise()

    @abstractmethod
    def _quantise(self) -> None:
        """Quantise all nodes but those of `left`."""

    @abstractmethod
    def write(self, out: Path, kept: Collection[str] = ()) -> None:
        """Write a file.

        Args:
            out: ends in `suffix`; OpenVINO puts its weights beside it.
            kept: groups that stay in float32.
        """

    @abstractmethod
    def run(self, path: Path, inputs: Sequence[Inputs]) -> list[dict[str, ndarray]]:
        """Outputs by name of a file of this format, or of the ONNX file, for each of some inputs."""


class OnnxInt8(Int8):
    """For ONNX Runtime: its static quantisation, written as pairs of QuantizeLinear and DequantizeLinear.

    Activations are unsigned, weights signed, for each output channel, and of 7 bits: CPUs without VNNI add two
    products in 16 bits, which full weights overflow, and a file has to give the same everywhere.
    """

    suffix = ".onnx"

    def _quantise(self) -> None:
        onnx = import_extra("onnx", "onnx")
        quantisation = import_extra("onnxruntime.quantization", "onnx")
        self.float32 = onnx.load(self.model)

        class Reader(quantisation.CalibrationDataReader):  # type: ignore[name-defined]
            def __init__(self, inputs: Sequence[Inputs]):
                self.inputs, self.read = inputs, 0

            def get_next(self) -> dict[str, ndarray] | None:
                if self.read == len(self.inputs):
                    return None
                self.read += 1
                if self.read % TOLD == 0:
                    log.info("%d of %d inputs", self.read, len(self.inputs))
                return dict(self.inputs[self.read - 1])

        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _quiet_onnxruntime():
            path = Path(folder) / "int8.onnx"
            quantisation.quantize_static(
                self.model,
                path,
                Reader(self.inputs),
                quant_format=quantisation.QuantFormat.QDQ,
                op_types_to_quantize=list(ONNX_OPERATORS),
                nodes_to_exclude=sorted(self.left),
                activation_type=quantisation.QuantType.QUInt8,
                weight_type=quantisation.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                # Else ReLUs are gone, and cannot be brought back to layers in float32.
                extra_options={"QDQKeepRemovableActivations": True},
            )
            self.int8 = onnx.load(path)

    def write(self, out: Path, kept: Collection[str] = ()) -> None:
        """Write a file, see `Int8`."""
        model = type(self.int8)()
        model.CopyFrom(self.int8)
        graph, source = model.graph, self.float32.graph
        back = {node.name: node for node in source.node if node.name in self.left or group_of(node.name) in kept}
        weights = {one.name for one in source.initializer}
        for node in graph.node:
            if node.name in back:
                # Under names of their own: the quantised graph gives what it dequantises the old ones.
                node.input[:] = [f"{one}/float32" if one in weights else one for one in back[node.name].input]
        for one in source.initializer:
            graph.initializer.add().CopyFrom(one)
            graph.initializer[-1].name += "/float32"
        _drop_unread(graph)
        with write_atomically(out, "wb") as file:
            file.write(model.SerializeToString())

    def run(self, path: Path, inputs: Sequence[Inputs]) -> list[dict[str, ndarray]]:
        """Outputs of a file, see `Int8`."""
        onnxruntime = import_extra("onnxruntime", "onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_outputs()]
        return [dict(zip(names, session.run(names, dict(one)), strict=True)) for one in inputs]


class OpenVinoInt8(Int8):
    """For OpenVINO: NNCF's quantisation after training.

    Ranges reach to the smallest and largest values seen. NNCF's own way, the mean of each input's and corrected biases,
    has twice the error on the pose network that was tried, and takes twice as long. Weights have 7 bits for the reason
    given in `OnnxInt8`.
    """

    suffix = ".xml"

    def _quantise(self) -> None:
        openvino, nncf = import_extra("openvino", "openvino"), import_extra("nncf", "openvino")
        ranges = import_extra("nncf.quantization.range_estimator", "openvino")
        with without_telemetry():
            self.float32 = openvino.convert_model(str(self.model))
        operations = [op for op in self.float32.get_ops() if op.get_type_name() not in ("Constant", "Parameter")]
        names = [op.get_friendly_name() for op in operations]
        # A node can have become several operations, "NODE" and "NODE/...".
        left = tuple(f"{name}/" for name in self.left)
        ignored = [name for name in names if group_of(name) is None or f"{name}/".startswith(left)]
        with errors_only("nncf"), redirect_stdout(sys.stderr):  # its progress
            self.int8 = nncf.quantize(
                self.float32,
                nncf.Dataset([dict(one) for one in self.inputs]),
                subset_size=len(self.inputs),
                ignored_scope=nncf.IgnoredScope(names=ignored, validate=False),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    overflow_fix=nncf.OverflowFix.ENABLE,
                    disable_bias_correction=True,
                    activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX,
                ),
            )

    def write(self, out: Path, kept: Collection[str] = ()) -> None:
        """Write a file, see `Int8`."""
        openvino = import_extra("openvino", "openvino")
        model = self.int8.clone()
        before = {op.get_friendly_name(): op for op in self.float32.get_ops()}
        for op in model.get_ops():
            name = op.get_friendly_name()
            if name not in before or group_of(name) not in kept:
                continue
            for place, given in enumerate(op.inputs()):
                source = given.get_source_output().get_node()
                old = before[name].input_value(place).get_node()
                if source.get_type_name() == "FakeQuantize":
                    given.replace_source_output(source.input_value(0))
                elif old.get_type_name() == "Constant" != source.get_type_name():
                    given.replace_source_output(old.output(0))
        openvino.save_model(model, str(out), compress_to_fp16=False)

    def run(self, path: Path, inputs: Sequence[Inputs]) -> list[dict[str, ndarray]]:
        """Outputs of a file, see `Int8`."""
        openvino = import_extra("openvino", "openvino")
        compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        names = [one.any_name for one in compiled.outputs]
        return [{name: compiled(dict(one))[name].copy() for name in names} for one in inputs]


def _left_alone(graph: Any) -> set[str]:
    """Nodes of an ONNX graph that are never quantised: those without a group, and those that these or nobody reads.

    What leaves the layers leaves them as computed: heatmaps in 256 steps would cost precision for no speed.
    """
    ends = {one.name for one in graph.output}
    for node in graph.node:
        if group_of(node.name) is None:
            ends.update(node.input)
    return {node.name for node in graph.node if group_of(node.name) is None or ends.intersection(node.output)}


def _drop_unread(graph: Any) -> None:
    """Remove nodes and tensors of an ONNX graph that nothing reads, in place."""
    read = {one.name for one in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            read.update(node.input)
            nodes.append(node)
    tensors = [one for one in graph.initializer if one.name in read]
    for field, left in ((graph.node, nodes[::-1]), (graph.initializer, tensors)):
        copies = [type(one).FromString(one.SerializeToString()) for one in left]
        del field[:]
        field.extend(copies)


@contextmanager
def _quiet_onnxruntime() -> Iterator[None]:
    """Keep the advice to preprocess models to itself: what comes from `torch.onnx` needs none."""

    def ours(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in record.pathname

    root = logging.getLogger()
    root.addFilter(ours)
    try:
        yield
    finally:
        root.removeFilter(ours)
