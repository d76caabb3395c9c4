"""A view of a model as one graph: from images to what its heads decode, and the formats that hold such a graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.export.extras import errors_only, import_extra, without_telemetry
from hrtoolkit.files import write_atomically
from hrtoolkit.model import Branch, Model, mirror
from hrtoolkit.norms import BackboneOfViews
from hrtoolkit.speed import fold
from hrtoolkit.suppression import ONNX_OPERATORS
from hrtoolkit.views import View

log = logging.getLogger(__name__)

OPSET = 20  # onnxruntime 1.17 and OpenVINO 2024 read it
IMAGES, SIZES = "images", "sizes_hw"  # names of the inputs
DECODE = "decode"  # what the names of nodes begin with that belong to no module


@dataclass(frozen=True)
class Graph:
    """A traced network.

    Args:
        program: of torch.export.
        inputs: one example of each input by name.
        outputs: names.
        shape: of the images, with a name for each side that may change.
    """

    program: ExportedProgram
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    shape: tuple[int | str, ...]


class Network(nn.Module):
    """Branches of one view of a model, from images [B, 3, H, W] to the tensors that their heads decode.

    Args:
        model: in eval mode, folded.
        branches: names of one or several; the backbone runs once for all of them.
        normalise: images are uint8 RGB; else they come normalised.
        joint: outputs are named "BRANCH.OUTPUT".
    """

    def __init__(self, model: Model, branches: Sequence[str], normalise: bool, joint: bool = False):
        super().__init__()
        self.model = model
        self.names = list(branches)
        self.normalise = normalise
        self.joint = joint

    def forward(self, images: Tensor, sizes_hw: Tensor | None = None) -> dict[str, Tensor]:
        model, heads = self.model, {name: self.model.branches[name].head for name in self.names}
        if self.normalise:
            pixels = model.data_preprocessor
            images = (images.to(torch.float32) - pixels.mean) / pixels.std
            if sizes_hw is not None:  # what a batch pads is 0 after normalisation
                rows, columns = (torch.arange(side, device=images.device) for side in images.shape[-2:])
                inside = (rows[:, None] < sizes_hw[:, :1, None]) & (columns < sizes_hw[:, 1:, None])
                images = images * inside[:, None]
        shifts = list(dict.fromkeys(head.flip_shift for head in heads.values())) if model.flip_test else []
        turned = [mirror(images, shift) for shift in shifts]
        count = images.shape[0]
        outputs: dict[str, Tensor] = {}
        for name, maps in model.extract_each(torch.cat([images, *turned]) if turned else images, self.names).items():
            head, flipped = heads[name], None
            if turned:
                first = (1 + shifts.index(head.flip_shift)) * count
                maps, flipped = [x[:count] for x in maps], [x[first : first + count] for x in maps]
            lead = f"{name}." if self.joint else ""
            outputs |= {f"{lead}{key}": value for key, value in head.decode(maps, flipped, sizes_hw).items()}
        return outputs


def trace(
    model: Model,
    branches: Sequence[str],
    dtype: torch.dtype = torch.float32,
    uint8: bool = False,
    joint: bool = False,
) -> Graph:
    """Fold and trace branches of one view of a model.

    The batch may have any size, and the images too where the view gives inputs of several.

    Args:
        model: with its weights, on the CPU.
        branches: names of those that become one graph.
        dtype: that backbone and necks compute in.
        uint8: the graph normalises.
        joint: outputs are named "BRANCH.OUTPUT".

    Raises:
        OptionError: a head has no `decode`.
    """
    view = model.branches[branches[0]].view
    assert view is not None, "a predictor has one"
    model = fold(model, dtype)
    if isinstance(model.backbone, BackboneOfViews):
        model.backbone = model.backbone.of_view[model.views.index(model.looks[branches[0]])]
        model.seen = None
    keep_branches_(model, branches)
    heads: list[Any] = [model.branches[name].head for name in branches]
    for head in heads:
        # Of as many boxes as there are, AOTInductor takes the output of a convolution for contiguous, whatever the
        # weights make of it: masks would be read across their classes.
        head.to(memory_format=torch.contiguous_format)
    height, width, changes = _input_size(view)
    images = torch.randint(0, 255, (2, 3, height, width)).to(torch.uint8 if uint8 else torch.float32)
    inputs = {IMAGES: images if uint8 else (images - 127) / 64}
    step = view.multiple or 1
    side = {"min": -(-max(view.smallest, 33) // step), "max": 2**15 // step}
    sides = {2: step * Dim("height", **side), 3: step * Dim("width", **side)} if changes else {}
    shapes: dict[str, Any] = {IMAGES: {0: Dim("batch", min=1, max=2**15), **sides}}
    if any(head.reads_sizes for head in heads):
        inputs[SIZES] = torch.tensor([[height, width]] * 2)
        shapes[SIZES] = {0: shapes[IMAGES][0]}
    network = Network(model, branches, uint8, joint).eval()
    try:
        with torch.no_grad(), _silent():
            outputs = tuple(network(**inputs))
            program = torch.export.export(network, (), inputs, dynamic_shapes=shapes, strict=False)
    except NotImplementedError as error:
        raise OptionError(str(error)) from None
    shape = ("batch", 3, *(("height", "width") if changes else (height, width)))
    return Graph(program, inputs, outputs, shape)


def keep_branches_(model: Model, branches: Collection[str]) -> None:
    """Take all branches but some out of a model for predicting, in place.

    Args:
        model: whose views have no BatchNorm of their own.
        branches: that stay.
    """
    assert model.seen is None, "views keep their numbers"
    model.balance = None
    for name in set(model.branches) - set(branches):
        del model.branches[name]  # type: ignore[attr-defined]  # named ones are a ModuleDict
        del model.looks[name]
    model.views = tuple(view for view in model.views if view in model.looks.values())


def runs_once(branch: Branch) -> bool:
    """Whether a branch runs the network once an image, so that one graph gives the same."""
    return branch.inference is None or bool(getattr(branch.inference, "runs_once", False))


def _input_size(view: View) -> tuple[int, int, bool]:
    """Height and width of an example of a network's inputs, and whether there are others."""
    sizes = []
    for height, width in ((480, 640), (640, 480)):
        image, ask = np.zeros((height, width, 3), np.uint8), None
        if view.sees_crops:
            box = np.array([[0.0, 0.0, width, height]])
            ask = view.crops(box, box, np.ones(1))[0]
        sizes.append(view(image, ask)[0].shape[:2])
    step = view.multiple or 1
    # A coarsest map of one row would be traced as a constant.
    height, width = (max(side + -side % step, 4 * step, view.smallest) for side in sizes[0])
    return height, width, sizes[0] != sizes[1]


def write_onnx(graph: Graph, path: Path) -> None:
    """Write a graph as ONNX; names of its nodes begin with that of their module, or with "decode".

    Raises:
        UserError: a package is missing, or the file cannot be written.
    """
    onnx = import_extra("onnx", "onnx")
    import_extra("onnxscript", "onnx")
    with torch.no_grad(), _silent():
        program = torch.onnx.export(
            graph.program,
            dynamo=True,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=OPSET,
            custom_translation_table=ONNX_OPERATORS,
            verbose=False,
        )
    assert program is not None, "of the new exporter"
    model = program.model_proto
    _name_nodes(model.graph)
    _name_sides(model.graph, graph)
    del model.metadata_props[:]
    model.producer_name = "hrtoolkit"
    onnx.checker.check_model(model)
    with write_atomically(path, "wb") as file:
        file.write(model.SerializeToString())


def _name_nodes(graph: Any) -> None:
    """Name nodes and what they give after their modules, and drop the notes of the exporter."""
    outputs, counts, renamed = {o.name for o in graph.output}, Counter[str](), {}
    for node in graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]")
        # From the network's own name, '', over its modules to the operation.
        names = scopes.strip("[]").replace("'", "").split(", ")
        module = names[-2].removeprefix("model.") if len(names) > 2 else DECODE
        counts[module, node.op_type] += 1  # type: ignore[index]
        number = counts[module, node.op_type]  # type: ignore[index]
        node.name = f"{module}/{node.op_type}" + (f"_{number}" if number > 1 else "")
        for place, output in enumerate(node.output):
            if output and output not in outputs:
                renamed[output] = node.name + (f":{place}" if place else "")
        del node.metadata_props[:]
    for node in graph.node:
        for names in (node.input, node.output):
            for place, one in enumerate(names):
                names[place] = renamed.get(one, one)
    for values in (graph.input, graph.output, graph.initializer):
        for value in values:
            del value.metadata_props[:]
    del graph.value_info[:]  # of the old names


def _name_sides(graph: Any, traced: Graph) -> None:
    (images,) = (one for one in graph.input if one.name == IMAGES)
    for dimension, side in zip(images.type.tensor_type.shape.dim, traced.shape, strict=True):
        if isinstance(side, str):
            dimension.dim_param = side


def write_openvino(source: Path, path: Path, compress: bool) -> None:
    """Write an ONNX file as OpenVINO's IR, .xml and .bin.

    Args:
        source: the ONNX file.
        path: ends in .xml.
        compress: store weights in float16.

    Raises:
        UserError: OpenVINO is missing.
    """
    openvino = import_extra("openvino", "openvino")
    with without_telemetry():
        openvino.save_model(openvino.convert_model(str(source)), str(path), compress_to_fp16=compress)


def write_pt2(graph: Graph, path: Path) -> None:
    """Compile a graph ahead of time (AOTInductor), for this kind of machine.

    Raises:
        UserError: there is no C++ compiler.
    """
    from torch._inductor import aoti_compile_and_package
    from torch._inductor.exc import InvalidCxxCompiler

    # With weights as constants the network is faster; where shapes depend on data torch 2.14 fails at that, and gives
    # wrong numbers for layouts of its own choice.
    settings = {"layout_optimization": False} if SIZES in graph.inputs else {"freezing": True}
    try:
        with torch.no_grad(), _silent():
            aoti_compile_and_package(graph.program, package_path=str(path), inductor_configs=settings)
    except InvalidCxxCompiler as error:
        raise UserError("pt2 is compiled, and there is no C++ compiler: install g++ or clang") from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporters' progress and warnings, which tell users nothing that they could change, to themselves."""
    quiet = errors_only("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
    with quiet, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
