"""An exported folder in place of a checkpoint: its network runs, and the model reads its outputs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.build import build_model
from hrtoolkit.config import ConfigError
from hrtoolkit.errors import CheckpointError, OptionError
from hrtoolkit.export.folder import describe, write_folder
from hrtoolkit.export.graph import IMAGES, SIZES, runs_once, trace, write_onnx
from hrtoolkit.files import CONFIG_FILE
from hrtoolkit.frames import Frame
from hrtoolkit.model import Backend, BatchPreprocessor, Model
from hrtoolkit.pretrained import own_config
from hrtoolkit.runtime.network import Network, check_files, open_network, read_input, read_settings
from hrtoolkit.version import __version__


def check_as_made(folder: object, **asked: object) -> None:
    """Refuse to change how an export computes.

    Raises:
        OptionError: one of the options is on.
    """
    if on := [name for name, value in asked.items() if value]:
        raise OptionError(f"{folder}: an export is as it was made; leave out {', '.join(on)}, or export it so")


def load_exported(folder: str | Path, backend: Backend | None = None) -> Model:
    """The model of an exported folder.

    Args:
        folder: that `hrtoolkit export` wrote.
        backend: what runs the network; by default what the format is named after. A pt2 file is a program, so it has to
            be asked for.

    Raises:
        UserError: the folder is not whole, or what runs it is not installed.
    """
    folder = Path(folder).expanduser()
    try:
        text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{folder / CONFIG_FILE}: cannot be read ({error.strerror}); export it again") from None
    try:
        model = build_model(own_config({"meta": {"hrtoolkit_version": __version__, "config": text}}, str(folder)))
    except ConfigError as error:
        problems = "\n  ".join(error.problems)
        raise CheckpointError(f"{folder}: the config in it is not one of today's:\n  {problems}") from error
    use_exported(model, folder, backend)
    return model


def use_exported(model: Model, folder: Path, backend: Backend | None = None) -> None:
    """Let an exported network run in place of a model's own, whose backbone is dropped.

    Args:
        model: built from the same config, or one with the same outputs.
        folder: see `load_exported`.
        backend: see `load_exported`.

    Raises:
        UserError: see `load_exported`.
    """
    settings = read_settings(folder)
    given, branch = settings["input"], model.branch(settings.get("branch"))
    if settings["read"] != branch.head.reading():
        raise CheckpointError(
            f"{folder}: its outputs are read by {settings['read']}, and this model's by {branch.head.reading()}; use "
            "the config that it was exported with"
        )
    mean, std = ((0.0,) * 3, (1.0,) * 3) if given["dtype"] == "uint8" else (given["mean"], given["std"])
    if not runs_once(branch):
        raise OptionError(
            f"{folder}: it runs once an image, and this config runs the network several times "
            f"({type(branch.inference).__name__}); leave that out (--set model.inference=None)"
        )
    model.data_preprocessor = BatchPreprocessor(mean, std)
    model.backbone = nn.Identity()  # type: ignore[assignment]  # nobody calls it
    network = open_pt2(folder, settings, backend) if settings["format"] == "pt2" else open_network(folder, backend)
    model.exported = _Exported(network, settings["sha256"])


@dataclass(frozen=True)
class _Exported:
    """A network of the runtime, called as a model calls its own."""

    network: Network
    sha256: str

    def __call__(self, images: Tensor, frames: Frame) -> dict[str, ndarray]:
        given = self.network.input
        pixels = images.round().to(torch.uint8) if given.dtype == "uint8" else images
        pixels = pixels.flip(1) if given.color_order == "bgr" else pixels
        return self.network.run(pixels.cpu().numpy(), np.asarray(frames.input_hw, np.int64))


def export_to_memory(model: Model, branch: str | None, backend: Backend) -> None:
    """Let another backend run a model, in float32 and without a certificate.

    Args:
        model: with its weights, on the CPU.
        branch: name of the one that looks; None where there is but one.
        backend: "onnxruntime" or "openvino".

    Raises:
        UserError: the model cannot be exported, or the backend is not installed.
    """
    if backend == "pt2":
        raise OptionError("backend 'pt2' is for folders that `hrtoolkit export --format pt2` wrote")
    one = model.branch(branch)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        graph = trace(model, one)
        told = describe(model, one, graph, "onnx", "fp32", uint8=False)
        write_onnx(graph, folder / told["model"])
        write_folder(folder, told, one.head.scheme, model.config)
        use_exported(model, folder, backend)


def open_pt2(folder: Path, settings: dict, backend: Backend | None = "pt2") -> Network:
    """Open the network of a folder of the format pt2.

    Args:
        folder: of the export.
        settings: of it.
        backend: "pt2"; whoever asks for another one is told why.

    Raises:
        UserError: it was not asked for, is not whole, or does not fit this machine.
    """
    if backend != "pt2":
        raise OptionError(
            f"{folder}: a pt2 file is a program, which runs when it is loaded: say backend='pt2' (--backend pt2) if "
            "you trust where it is from"
        )
    path = check_files(folder, settings)
    try:
        run = torch._inductor.aoti_load_package(str(path))
    except Exception as error:  # of a zip file, a linker or a library, in many types
        raise CheckpointError(
            f"{path}: cannot be loaded; it was compiled by torch for one kind of machine: export it here ({error})"
        ) from error

    def call(inputs: dict[str, ndarray]) -> list[ndarray]:
        given = {name: torch.from_numpy(inputs[name]) for name in (IMAGES, SIZES) if name in inputs}
        with torch.inference_mode():
            found = run(**given)
        return [found[name].numpy() for name in settings["outputs"]]

    return Network(str(folder), settings, read_input(settings, folder), call)
