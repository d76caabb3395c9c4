"""Export a model: trace it, write it, quantise it if asked to, and hold it against PyTorch before it is called done."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from numpy import ndarray

from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.export.certificate import (
    BUDGETS,
    Certificate,
    JointCertificate,
    certify,
    compare_scores,
    compare_speed,
    find_all,
    network_inputs,
    open_folder,
)
from hrtoolkit.export.examples import Examples
from hrtoolkit.export.folder import (
    MODEL_FILES,
    Format,
    Precision,
    describe,
    describe_branch,
    group_by_view,
    write_joint,
    write_runtime,
    write_scheme,
    write_settings,
)
from hrtoolkit.export.graph import Graph, trace, write_onnx, write_openvino, write_pt2
from hrtoolkit.export.keeping import quantise_within
from hrtoolkit.export.quantise import OnnxInt8, OpenVinoInt8
from hrtoolkit.files import check_writable, is_exported
from hrtoolkit.model import Model
from hrtoolkit.predict.joint import JointPredictor
from hrtoolkit.predict.predictor import Predictor
from hrtoolkit.records import Record
from hrtoolkit.runtime.network import model_files

log = logging.getLogger(__name__)

CALIBRATION = 100  # inputs
FAILED = "FAILED"  # a file in the folder of an export that does not hold
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.float32}


def export_model(
    predictor: Predictor,
    out: str | Path,
    examples: Examples,
    *,
    format: Format = "onnx",
    precision: Precision = "fp32",
    calibration: Examples | None = None,
    budget: float | None = None,
    uint8: bool = False,
    timed: bool = True,
) -> Certificate:
    """Write a folder with the model, everything that is needed to run it without PyTorch, and a certificate.

    The folder is there whole or not at all; one that does not hold its budget says so in a file `FAILED`.

    Args:
        predictor: the model, not folded, on the CPU; with its flip test if it has one.
        out: the folder; an earlier export there is replaced.
        examples: real images that both are held against.
        format: "onnx", "openvino", or "pt2" (AOTInductor, for machines of this kind).
        precision: that backbone and neck compute in; int8 for onnx and openvino.
        calibration: real images for int8, not the same as the examples where that can be.
        budget: hundredths of the metric that may be lost; by default 0.05 in float32, else 0.5.
        uint8: the network takes RGB bytes and normalises by itself.
        timed: also measure the speed.

    Raises:
        UserError: the model or precision cannot be exported, a package is missing, or the folder cannot be written.
    """
    out = Path(out).expanduser()
    _check(out, format, precision, [examples])
    describe_branch(predictor.model, predictor.name)
    with _new_folder(out) as folder:
        log.info("predicting with PyTorch on %d images", len(examples))
        side = _Side(predictor, examples, calibration or examples, find_all(predictor, examples))
        kept, count = _write_network(folder, [side], format, precision, budget, uint8, joint=False)
        write_scheme(folder, predictor.scheme)
        write_runtime(folder, predictor.model.config)
        log.info("comparing with PyTorch")
        certificate = certify(folder, predictor, examples, budget, timed, side.mine)
        certificate.kept, certificate.calibration = kept, count
        _finish(folder, certificate)
    return certificate


def export_joint(
    predictor: JointPredictor,
    out: str | Path,
    examples: Mapping[str, Examples],
    *,
    format: Format = "onnx",
    precision: Precision = "fp32",
    calibration: Mapping[str, Examples] = MappingProxyType({}),
    budget: float | None = None,
    uint8: bool = False,
    timed: bool = True,
) -> JointCertificate:
    """Write a folder as `export_model` does, of several branches: one network a view, with the backbone once in each.

    Args:
        predictor: the model, not folded, on the CPU.
        out: the folder.
        examples: real images of each branch that is exported, by name.
        format: of all networks.
        precision: of them.
        calibration: real images for int8, by branch.
        budget: hundredths of the metric that each branch may lose.
        uint8: the networks take RGB bytes and normalise by themselves.
        timed: also measure the speed.

    Raises:
        UserError: see `export_model`; where one branch is to blame, with its name.
    """
    out, model = Path(out).expanduser(), predictor.model
    _check(out, format, precision, list(examples.values()))
    _check_branches(model, list(examples))
    views = group_by_view(model, list(examples))
    kept: dict[str, tuple[list[str], int]] = {}
    sides: dict[str, _Side] = {}
    speed = {}
    branches = {}
    with _new_folder(out) as folder:
        for view, names in views.items():
            for name in names:
                one, own = predictor.branches[name], examples[name]
                log.info("%s: predicting with PyTorch on %d images", name, len(own))
                sides[name] = _Side(one, own, calibration.get(name, own), find_all(one, own))
            (folder / view).mkdir()
            log.info("writing the network of %s (%s)", view, ", ".join(names))
            kept[view] = _write_network(
                folder / view, [sides[name] for name in names], format, precision, budget, uint8, joint=True
            )
        whole = {name: side.mine[0] for name, side in sides.items() if not side.predictor.sees_crops}
        detector = predictor.find_detector(whole)
        write_joint(folder, views, detector)
        write_runtime(folder, model.config)
        for view, names in views.items():
            for name in names:
                side = sides[name]
                log.info("%s: comparing with PyTorch", name)
                branches[name] = certify(folder / view, side.predictor, side.examples, budget, False, side.mine)
                branches[name].kept, branches[name].calibration = kept[view]
            if timed:
                speed[view] = compare_speed(folder / view, sides[names[0]].predictor, sides[names[0]].examples)
        certificate = JointCertificate(views, branches, speed)
        _finish(folder, certificate)
    return certificate


class _Side(NamedTuple):
    """A branch that is exported, and what it is held against."""

    predictor: Predictor
    examples: Examples
    calibration: Examples
    mine: list[Record]  # what PyTorch finds in the examples


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that takes the place of `out` when all went well."""
    check_writable(out, folder=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}_", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "export"
        folder.mkdir()
        yield folder
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)


def _finish(folder: Path, certificate: Certificate | JointCertificate) -> None:
    """Write a certificate, and mark what does not hold."""
    certificate.write(folder)
    if not certificate.passed:
        (folder / FAILED).write_text("\n".join([*certificate.reasons, ""]), encoding="utf-8")


def _check(out: Path, format: Format, precision: Precision, examples: Sequence[Examples]) -> None:
    """Refuse what cannot be exported, before anything is done."""
    if format not in MODEL_FILES:
        raise OptionError(f"format is {format!r}, expected {', '.join(MODEL_FILES)}")
    if precision not in DTYPES:
        raise OptionError(f"precision is {precision!r}, expected {', '.join(DTYPES)}")
    if format == "pt2" and precision == "int8":
        raise OptionError("int8 is for onnx and openvino: PyTorch compiles no int8 for convolutions on CPUs here")
    if format == "onnx" and precision == "bf16":
        raise OptionError("ONNX Runtime has no bfloat16 convolution on CPUs; take --format openvino or pt2, or fp16")
    if format == "openvino" and precision == "bf16" and not torch.cpu._is_avx512_bf16_supported():
        raise OptionError(
            "this CPU has no bfloat16 instructions (avx512_bf16), so nothing could be measured here; export on one "
            "that has, or take int8"
        )
    if not all(map(len, examples)):
        raise UserError("there are no images to hold the export against: give --data-root, or --images")
    if out.exists() and not (is_exported(out) or (out.is_dir() and not any(out.iterdir()))):
        raise UserError(f"{out}: is there already, and is no export; name another folder")


def _check_branches(model: Model, names: Sequence[str]) -> None:
    """Refuse branches that cannot be exported, all of them at once."""
    problems: dict[str, str] = {}
    for name in names:
        try:
            describe_branch(model, name)
        except OptionError as error:
            problems[name] = str(error)
    if problems:
        others = " ".join(name for name in names if name not in problems)
        advice = [f"the others can be exported: --branch {others}"] if others else []
        raise OptionError("\n".join([*problems.values(), *advice]))


def _write_network(
    folder: Path,
    sides: Sequence[_Side],
    format: Format,
    precision: Precision,
    budget: float | None,
    uint8: bool,
    joint: bool,
) -> tuple[list[str], int]:
    """Write the network of branches that share a view, and its settings.

    Returns:
        groups that int8 leaves in float32, and on how many inputs it was calibrated.
    """
    model, names = sides[0].predictor.model, [side.predictor.name for side in sides]
    log.info("tracing the network")
    dtype = DTYPES[precision] if format == "pt2" or (precision == "fp16" and format == "onnx") else torch.float32
    graph = trace(model, names, dtype, uint8, joint)
    told = describe(model, names, graph, format, precision, uint8, joint)
    kept: list[str] = []
    inputs: list[dict[str, ndarray]] = []
    if precision == "int8":
        share = -(-CALIBRATION // len(sides))
        for side in sides:
            inputs += network_inputs(side.predictor, side.calibration, share, told["input"])
        kept = _quantise(folder, told, graph, sides, inputs, budget)
    else:
        _write(graph, folder / told["model"], precision)
    write_settings(folder, told)
    return kept, len(inputs)


def _write(graph: Graph, path: Path, precision: str) -> None:
    if path.suffix == ".pt2":
        log.info("compiling the network, which takes minutes")
        write_pt2(graph, path)
    elif path.suffix == ".onnx":
        write_onnx(graph, path)
    else:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            source = Path(scratch) / "model.onnx"
            write_onnx(graph, source)
            write_openvino(source, path, compress=precision == "fp16")


def _quantise(
    folder: Path,
    told: dict[str, Any],
    graph: Graph,
    sides: Sequence[_Side],
    inputs: Sequence[dict[str, ndarray]],
    budget: float | None,
) -> list[str]:
    """Write the model in int8, with as much left in float32 as the budget of each branch asks for; says what."""
    kind = OnnxInt8 if told["format"] == "onnx" else OpenVinoInt8
    measured = [side for side in sides if side.examples.metric is not None]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        source = Path(scratch) / "model.onnx"
        write_onnx(graph, source)
        network = kind(source, inputs)
        path = folder / told["model"]
        if not measured:
            network.write(path)
            return []

        def measure(candidate: Path) -> float:
            """Points of its metric that the worst branch of a quantised model loses."""
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
                trial = Path(name)
                for file in model_files(candidate.parent, candidate.name):
                    shutil.copy(file, trial / file.name)
                write_settings(trial, told)
                write_scheme(trial, sides[0].predictor.scheme)
                return max(_lose(side, trial) for side in measured)

        return quantise_within(network, path, measure, BUDGETS["int8"] if budget is None else budget).groups


def _lose(side: _Side, folder: Path) -> float:
    """Points of a branch's metric that an export of it loses."""
    theirs = find_all(open_folder(folder, side.predictor), side.examples)
    found = compare_scores(side.examples, side.predictor, side.mine, theirs)
    return 0.0 if found is None else found["loss"]
