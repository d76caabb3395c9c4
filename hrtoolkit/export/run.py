"""Export a model: trace it, write it, quantise it if asked to, and hold it against PyTorch before it is called done."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy import ndarray

from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.export.certificate import BUDGETS, Certificate, certify, compare_scores, find_all, network_inputs
from hrtoolkit.export.certificate import open_folder as open_export
from hrtoolkit.export.examples import Examples
from hrtoolkit.export.folder import MODEL_FILES, Format, Precision, describe, write_folder
from hrtoolkit.export.graph import Graph, trace, write_onnx, write_openvino, write_pt2
from hrtoolkit.export.keeping import quantise_within
from hrtoolkit.export.quantise import OnnxInt8, OpenVinoInt8
from hrtoolkit.files import check_writable, is_exported
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
    _check(predictor, out, format, precision, examples)
    check_writable(out, folder=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}_", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "export"
        folder.mkdir()
        log.info("tracing the network")
        dtype = DTYPES[precision] if format == "pt2" or (precision == "fp16" and format == "onnx") else torch.float32
        graph = trace(predictor.model, predictor.branch, dtype, uint8)
        told = describe(predictor.model, predictor.branch, graph, format, precision, uint8)
        log.info("predicting with PyTorch on %d images", len(examples))
        mine = find_all(predictor, examples)
        kept: list[str] = []
        inputs: list[dict[str, ndarray]] = []
        if precision == "int8":
            inputs = network_inputs(predictor, examples if calibration is None else calibration, CALIBRATION, uint8)
            kept = _quantise(folder, told, graph, predictor, examples, mine, inputs, budget)
        else:
            _write(graph, folder / told["model"], precision)
        write_folder(folder, told, predictor.scheme, predictor.model.config)
        log.info("comparing with PyTorch")
        certificate = certify(folder, predictor, examples, budget, timed, mine)
        certificate.kept, certificate.calibration = kept, len(inputs)
        certificate.write(folder)
        if not certificate.passed:
            (folder / FAILED).write_text("\n".join([*certificate.reasons, ""]), encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    return certificate


def _check(predictor: Predictor, out: Path, format: Format, precision: Precision, examples: Examples) -> None:
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
    if not len(examples):
        raise UserError("there are no images to hold the export against: give --data-root, or --images")
    if out.exists() and not (is_exported(out) or (out.is_dir() and not any(out.iterdir()))):
        raise UserError(f"{out}: is there already, and is no export; name another folder")


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
    predictor: Predictor,
    examples: Examples,
    mine: Sequence[Record],
    inputs: Sequence[dict[str, ndarray]],
    budget: float | None,
) -> list[str]:
    """Write the model in int8, with as much left in float32 as the budget asks for; says what."""
    kind = OnnxInt8 if told["format"] == "onnx" else OpenVinoInt8
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        source = Path(scratch) / "model.onnx"
        write_onnx(graph, source)
        network = kind(source, inputs)
        path = folder / told["model"]
        if examples.metric is None:
            network.write(path)
            return []

        def measure(candidate: Path) -> float:
            """Points of the metric that a quantised model loses."""
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
                trial = Path(name)
                for file in model_files(candidate.parent, candidate.name):
                    shutil.copy(file, trial / file.name)
                write_folder(trial, told, predictor.scheme, predictor.model.config)
                found = compare_scores(examples, predictor, mine, find_all(open_export(trial), examples))
            return 0.0 if found is None else found["loss"]

        return quantise_within(network, path, measure, BUDGETS["int8"] if budget is None else budget).groups
