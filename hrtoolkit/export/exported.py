"""An exported folder in place of a checkpoint: its networks run, and the model reads their outputs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.build import build_model
from hrtoolkit.config import ConfigError
from hrtoolkit.errors import CheckpointError, OptionError
from hrtoolkit.export.folder import describe, describe_branch, group_by_view, write_joint, write_settings
from hrtoolkit.export.graph import IMAGES, SIZES, keep_branches_, runs_once, trace, write_onnx
from hrtoolkit.files import CONFIG_FILE
from hrtoolkit.frames import Frame
from hrtoolkit.model import UNNAMED, Backend, BatchPreprocessor, Model
from hrtoolkit.pretrained import own_config
from hrtoolkit.runtime.network import (
    Network,
    check_files,
    find_network,
    open_network,
    read_input,
    read_settings,
    read_views,
)
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
    return build_exported(text, folder, backend)


def build_exported(config: str, folder: Path, backend: Backend | None = None) -> Model:
    """The model of an exported folder, or of one view in it, with what was exported of its branches.

    Args:
        config: of the model, as json.
        folder: see `load_exported`.
        backend: see `load_exported`.

    Raises:
        UserError: see `load_exported`.
    """
    try:
        model = build_model(own_config({"meta": {"hrtoolkit_version": __version__, "config": config}}, str(folder)))
    except ConfigError as error:
        problems = "\n  ".join(error.problems)
        raise CheckpointError(f"{folder}: the config in it is not one of today's:\n  {problems}") from error
    _drop_network(model)
    if set(names := exported_branches(folder)) <= set(model.branches):
        keep_branches_(model, names)
    use_exported(model, folder, backend)
    return model


def exported_branches(folder: Path) -> list[str]:
    """Names of the branches of an exported folder; "" of one that has none.

    Raises:
        CheckpointError: the folder is not whole.
    """
    views = read_views(folder)
    if views is not None:
        return [name for names in views[0].values() for name in names]
    settings = read_settings(folder)
    return list(settings.get("branches") or [settings.get("branch") or UNNAMED])


def use_exported(model: Model, folder: Path, backend: Backend | None = None) -> None:
    """Let an exported network run in place of a model's own, whose backbone is dropped; of several views one of each.

    Args:
        model: built from the same config, or one with the same outputs.
        folder: see `load_exported`; or that of one view of such a folder.
        backend: see `load_exported`.

    Raises:
        UserError: see `load_exported`.
    """
    names = exported_branches(folder)
    if missing := [name for name in model.branches if name not in names]:
        raise OptionError(
            f"{folder}: is an export of {', '.join(names) or 'a branch without a name'}, and the model also has "
            f"{', '.join(missing) or 'one without a name'}; export all of them, or name one (--branch)"
        )
    networks: dict[str, Network] = {}
    opened: dict[Path, Network] = {}
    for name in model.branches:
        place = find_network(folder, name)
        if place not in opened:
            opened[place] = _open(place, backend)
        networks[name] = opened[place]
        _check_fits(model, name, networks[name])
    given = next(iter(opened.values())).input
    mean, std = ((0.0,) * 3, (1.0,) * 3) if given.dtype == "uint8" else (given.mean, given.std)
    model.data_preprocessor = BatchPreprocessor(mean, std)
    _drop_network(model)
    model.exported = _Exported(networks)


def _drop_network(model: Model) -> None:
    """Drop a model's own backbone; nobody calls it."""
    model.backbone = nn.Identity()  # type: ignore[assignment]
    model.seen = None


def _open(folder: Path, backend: Backend | None) -> Network:
    settings = read_settings(folder)
    return open_pt2(folder, settings, backend) if settings["format"] == "pt2" else open_network(folder, backend)


def _check_fits(model: Model, name: str, network: Network) -> None:
    """Refuse a network whose outputs a branch cannot read.

    Raises:
        UserError: it is such a one.
    """
    branch, folder = model.branches[name], network.folder
    read = network.settings_of(name).get("read")
    if read != branch.head.reading():
        raise CheckpointError(
            f"{folder}: its outputs are read by {read}, and this model's by {branch.head.reading()}; use the config "
            "that it was exported with"
        )
    if not runs_once(branch):
        raise OptionError(
            f"{folder}: it runs once an image, and this config runs the network several times "
            f"({type(branch.inference).__name__}); leave that out (--set model.inference=None)"
        )


@dataclass(frozen=True)
class _Exported:
    """Networks of the runtime by branch, called as a model calls its own."""

    networks: Mapping[str, Network]

    @property
    def sha256(self) -> str:
        several = list(dict.fromkeys(network.settings["sha256"] for network in self.networks.values()))
        return several[0] if len(several) == 1 else hashlib.sha256("".join(several).encode()).hexdigest()

    def __call__(self, images: Tensor, frames: Frame, branches: Sequence[str]) -> dict[str, dict[str, ndarray]]:
        found = {network: self._run(network, images, frames) for network in {self.networks[name] for name in branches}}
        return {name: self.networks[name].outputs_of(found[self.networks[name]], name) for name in branches}

    @staticmethod
    def _run(network: Network, images: Tensor, frames: Frame) -> dict[str, ndarray]:
        given = network.input
        pixels = images.round().to(torch.uint8) if given.dtype == "uint8" else images
        pixels = pixels.flip(1) if given.color_order == "bgr" else pixels
        return network.run(pixels.cpu().numpy(), np.asarray(frames.input_hw, np.int64))


def export_to_memory(model: Model, branch: str | None, backend: Backend) -> None:
    """Let another backend run a model, in float32 and without a certificate.

    Args:
        model: with its weights, on the CPU.
        branch: name of the only one that looks, the others are dropped; None for all.
        backend: "onnxruntime" or "openvino".

    Raises:
        UserError: the model cannot be exported, or the backend is not installed.
    """
    if backend == "pt2":
        raise OptionError("backend 'pt2' is for folders that `hrtoolkit export --format pt2` wrote")
    names = list(model.branches) if branch is None else [branch]
    for name in names:
        describe_branch(model, name)
    joint = len(names) > 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        views = group_by_view(model, names)
        for view, some in views.items():
            place = folder / view if joint else folder
            graph = trace(model, some, joint=joint)
            told = describe(model, some, graph, "onnx", "fp32", uint8=False, joint=joint)
            place.mkdir(exist_ok=True)
            write_onnx(graph, place / told["model"])
            write_settings(place, told)
        if joint:
            write_joint(folder, views, None)
        _drop_network(model)
        keep_branches_(model, names)
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
