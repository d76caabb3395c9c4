"""The network of an exported folder, run by ONNX Runtime or OpenVINO: arrays in, arrays out."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .errors import CheckpointError, DataError, OptionError, UserError

LAYOUT = 1  # of exported folders; a newer one may mean other things by the same names
SETTINGS = "preprocess.json"
JOINT = "joint.json"  # of a folder with several branches, which has a folder for each of their views
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}  # what runs which format
BACKENDS = {"onnx": ("onnxruntime", "openvino"), "openvino": ("openvino",)}  # and what can
# What OpenVINO computes in; int8 models hold int8 layers, and this is for the others.
PRECISIONS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
CHUNK_BYTES = 2**20
Run = Callable[[dict[str, ndarray]], list[ndarray]]


class Input(NamedTuple):
    """What an exported network takes."""

    name: str
    dtype: str  # "float32": normalised; "uint8": the network normalises by itself
    shape: tuple[int | str, ...]  # [batch, 3, height, width]; a name where any number will do
    color_order: str  # "rgb" or "bgr"
    mean: tuple[float, ...]  # of each channel in that order, 0 to 255
    std: tuple[float, ...]
    multiple: int | None  # of both sides of a padded batch
    smallest: int  # side of a padded batch
    sizes: bool  # whether it is told the height and width of each image without padding


class Network:
    """A network that waits for arrays.

    Args:
        folder: what messages call it.
        settings: the content of its `preprocess.json`.
        input: what it takes.
        run: the network itself: outputs in the order of `outputs`.
    """

    def __init__(self, folder: str, settings: Mapping[str, Any], input: Input, run: Run):
        self.folder = folder
        self.settings = settings
        self.input = input
        self.outputs: tuple[str, ...] = tuple(settings["outputs"])
        self._run = run

    def run(self, images: ndarray, sizes_hw: ndarray | None = None) -> dict[str, ndarray]:
        """Run the network.

        Args:
            images: [B, 3, H, W], of the type that `input.dtype` says.
            sizes_hw: [B, 2], heights and widths of the images without padding, of a network that asks for them; by
                default nothing is padded.

        Returns:
            the outputs by name.

        Raises:
            DataError: it cannot take images of this size, or a network cannot make anything of them.
        """
        images = self._check(np.ascontiguousarray(images))
        inputs = {self.input.name: images}
        if self.input.sizes:
            whole = np.tile(np.array(images.shape[2:], np.int64), (len(images), 1))
            inputs["sizes_hw"] = whole if sizes_hw is None else np.ascontiguousarray(sizes_hw, np.int64)
        try:
            found = self._run(inputs)
        except Exception as error:  # what they raise has no common class
            raise DataError(
                f"{self.folder}: the model failed on images of shape {list(images.shape)}: {error}"
            ) from error
        return dict(zip(self.outputs, found, strict=True))

    def settings_of(self, branch: str | None = None) -> Mapping[str, Any]:
        """How outputs become records: `read`, `finish`, and of one of several branches its `scheme`.

        Args:
            branch: its name; None (or "") for the only one.

        Raises:
            OptionError: there is none of that name, or no name is given and there are several.
        """
        several = self.settings.get("branches") or {self.settings.get("branch") or "": self.settings}
        if not branch and len(several) == 1:
            branch = next(iter(several))
        if branch not in several:
            raise OptionError(no_branch(self.folder, branch, list(several)))
        return several[branch]

    def outputs_of(self, outputs: Mapping[str, ndarray], branch: str | None = None) -> dict[str, ndarray]:
        """What `run` gave for one branch, by the names that its task has for it."""
        several = self.settings.get("branches")
        lead = f"{branch or next(iter(several))}." if several else ""
        return {name.removeprefix(lead): value for name, value in outputs.items() if name.startswith(lead)}

    def _check(self, images: ndarray) -> ndarray:
        wanted, multiple = self.input.shape, self.input.multiple
        if images.dtype != self.input.dtype:
            raise DataError(f"{self.folder}: the model takes {self.input.dtype}, got {images.dtype}")
        fits = images.ndim == len(wanted) and all(
            side > 0 and (isinstance(want, str) or side == want)
            for side, want in zip(images.shape, wanted, strict=True)
        )
        if not fits:
            raise DataError(f"{self.folder}: the model takes images [{_spell(wanted)}], got {list(images.shape)}")
        if multiple is not None and any(side % multiple or side < self.input.smallest for side in images.shape[2:]):
            raise DataError(
                f"{self.folder}: the model takes images whose height and width are multiples of {multiple} and "
                f"{self.input.smallest} at least, got {list(images.shape)}; pad them at the right and the bottom"
            )
        return images


def open_network(folder: str | os.PathLike[str], backend: str | None = None, threads: int | None = None) -> Network:
    """Open the network of an exported folder.

    Args:
        folder: that `hrtoolkit export` wrote, of the format onnx or openvino.
        backend: what runs it: "onnxruntime" or "openvino", of which the latter runs both formats; None takes the one
            that the format is named after.
        threads: that it may use; None leaves it to the package that runs it.

    Raises:
        CheckpointError: the folder is not whole, of another layout, or its model cannot be read.
        UserError: the package that runs it is not installed.
    """
    folder = Path(folder)
    settings = read_settings(folder)
    kind = settings["format"]
    if kind not in PACKAGES:
        raise OptionError(
            f"{folder}: a model of the format {kind!r} runs with PyTorch alone: use hrtoolkit itself (hrtoolkit "
            f"predict {folder}), or export it as {' or '.join(PACKAGES)}"
        )
    if threads is not None and threads < 1:
        raise OptionError(f"threads is 1 or more, got {threads}")
    backend = PACKAGES[kind] if backend is None else backend
    if backend not in BACKENDS[kind]:
        raise OptionError(
            f"{folder}: a model of the format {kind} runs with {' or '.join(BACKENDS[kind])}, not {backend!r}"
        )
    package = _import(backend, folder)
    model = check_files(folder, settings)
    start = _start_onnx if backend == "onnxruntime" else _start_openvino
    try:
        run = start(package, model, settings, threads)
    except Exception as error:  # what they raise has no common class
        raise CheckpointError(f"{model}: {backend} {package.__version__} cannot read this model: {error}") from error
    return Network(str(folder), settings, read_input(settings, folder), run)


def read_settings(folder: str | Path) -> dict[str, Any]:
    """Read the `preprocess.json` of an exported folder.

    Raises:
        CheckpointError: it is missing, no json, of another layout, or lacks something.
    """
    folder = Path(folder)
    settings = _read_layout(folder / SETTINGS)
    reads = "branches" if "branches" in settings else "read"
    wanted = ("model", "format", "precision", "sha256", "input", "view", "outputs", reads)
    if missing := [name for name in wanted if name not in settings]:
        raise CheckpointError(f"{folder / SETTINGS}: lacks {', '.join(missing)}; export the model again")
    branches = settings.get("branches", {"": settings})
    if not (isinstance(branches, dict) and branches and all(isinstance(one, dict) for one in branches.values())):
        raise CheckpointError(f"{folder / SETTINGS}: its branches make no sense: {branches}; export the model again")
    name = settings["model"]
    if not isinstance(name, str) or Path(name).name != name or not name:
        raise CheckpointError(f"{folder / SETTINGS}: model is {name!r}, expected the name of a file beside it")
    return settings


def read_views(folder: str | os.PathLike[str]) -> tuple[dict[str, list[str]], str | None] | None:
    """Read the `joint.json` of an exported folder.

    Returns:
        the branches of each view, whose names are those of folders, and the branch whose boxes are looked into, None
        where no branch finds any; None where there is no such file: the folder holds one network.

    Raises:
        CheckpointError: it is of another layout, or makes no sense.
    """
    path = Path(folder) / JOINT
    if not path.is_file():
        return None
    told = _read_layout(path)
    views, detector = told.get("views"), told.get("detector")
    sound = isinstance(views, dict) and all(
        Path(view).name == view and isinstance(names, list) and names and all(isinstance(one, str) for one in names)
        for view, names in views.items()
    )
    if not sound or not views or detector not in (None, *(name for names in views.values() for name in names)):
        raise CheckpointError(f"{path}: its views make no sense: {views}, {detector}; export the model again")
    return views, detector


def find_network(folder: str | os.PathLike[str], branch: str | None = None) -> Path:
    """Where the network of a branch lies: of several branches in the folder of its view.

    Raises:
        OptionError: there is none of that name, or no name is given and there are several.
        CheckpointError: see `read_views`.
    """
    told = read_views(folder)
    if told is None:
        return Path(folder)
    known = {name: view for view, names in told[0].items() for name in names}
    if branch is None and len(known) == 1:
        branch = next(iter(known))
    if branch not in known:
        raise OptionError(no_branch(folder, branch, list(known)))
    return Path(folder) / known[branch]


def no_branch(folder: object, branch: str | None, known: Sequence[str]) -> str:
    """What a message says where a branch is not one of those that are known."""
    names = ", ".join(known)
    if not names:
        return f"{folder}: its only branch has no name; leave out branch={branch!r}"
    if not branch:
        return f"{folder}: name one of its branches ({names}) by branch=..., or take all of them by load_joint"
    return f"{folder}: name one of its branches ({names}), got {branch!r}"


def _read_layout(path: Path) -> dict[str, Any]:
    settings = read_object(path)
    if settings.get("layout") != LAYOUT:
        raise CheckpointError(
            f"{path}: layout {settings.get('layout')!r}, written by hrtoolkit "
            f"{settings.get('hrtoolkit', 'of an unknown version')}; this runtime reads layout {LAYOUT}: run the "
            "hrtoolkit_runtime that lies in that folder, or export the model again"
        )
    return settings


def read_object(path: Path) -> dict[str, Any]:
    """Read a json file that holds an object.

    Raises:
        CheckpointError: it is missing, or something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; give a folder that `hrtoolkit export` wrote") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); copy the folder again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected an object, got {type(content).__name__}; copy the folder again")
    return content


def model_files(folder: Path, name: str) -> list[Path]:
    """The files of a model, in the order in which they are hashed: OpenVINO's has its weights in a second one."""
    model = folder / name
    return [model, model.with_suffix(".bin")] if model.suffix == ".xml" else [model]


def hash_files(paths: list[Path]) -> str:
    """The SHA-256 of files, one after another.

    Raises:
        CheckpointError: one is missing or cannot be read.
    """
    found = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    found.update(chunk)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror}); copy the folder again") from None
    return found.hexdigest()


def check_files(folder: Path, settings: Mapping[str, Any]) -> Path:
    """The model of an exported folder, which is as it was written.

    Raises:
        CheckpointError: it is not.
    """
    paths = model_files(folder, settings["model"])
    if hash_files(paths) != settings["sha256"]:
        sizes = ", ".join(f"{path.name} has {path.stat().st_size:,} bytes" for path in paths)
        raise CheckpointError(
            f"{paths[0]}: not the file that was exported ({sizes}, and its SHA-256 is another one than {SETTINGS} "
            "says); it was cut short or changed: copy or export it again"
        )
    return paths[0]


def read_input(settings: Mapping[str, Any], folder: Path) -> Input:
    """What the network of an exported folder takes.

    Raises:
        CheckpointError: its settings do not say it.
    """
    try:
        given = {name: settings["input"][name] for name in Input._fields}
        lists = {name: tuple(given[name]) for name in ("shape", "mean", "std")}
        found = Input(**given | lists)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / SETTINGS}: its input lacks {error}; export the model again") from None
    sound = (
        len(found.shape) == 4
        and len(found.mean) == len(found.std) == 3
        and all(isinstance(side, str | int) for side in found.shape)
        and all(isinstance(value, int | float) for value in (*found.mean, *found.std))
        and 0 not in (found.multiple, *found.std)
    )
    if not sound:
        raise CheckpointError(f"{folder / SETTINGS}: its input makes no sense: {given}; export the model again")
    for name, value, known in (
        ("dtype", found.dtype, ("float32", "uint8")),
        ("color_order", found.color_order, ("rgb", "bgr")),
    ):
        if value not in known:
            raise CheckpointError(f"{folder / SETTINGS}: {name} is {value!r}, expected {' or '.join(known)}")
    return found


def _import(package: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(f"{folder}: this model runs with {package}: pip install {package} ({error})") from None


def _start_onnx(package: Any, model: Path, settings: Mapping[str, Any], threads: int | None) -> Run:
    options = package.SessionOptions()
    options.log_severity_level = 3  # errors; a warning a shape that it infers helps nobody
    if threads is not None:
        options.intra_op_num_threads = threads
    session = package.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = list(settings["outputs"])
    _check_names(names, [one.name for one in session.get_outputs()])
    return lambda inputs: session.run(names, inputs)


def _start_openvino(package: Any, model: Path, settings: Mapping[str, Any], threads: int | None) -> Run:
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": PRECISIONS[settings["precision"]],
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = package.Core().compile_model(str(model), "CPU", options)
    names = list(settings["outputs"])
    _check_names(names, [name for one in compiled.outputs for name in one.names])
    request = compiled.create_infer_request()

    def run(inputs: dict[str, ndarray]) -> list[ndarray]:
        request.infer(inputs, share_inputs=True)
        return [np.array(request.get_tensor(name).data) for name in names]

    return run


def _check_names(wanted: list[str], there: list[str]) -> None:
    if missing := [name for name in wanted if name not in there]:
        raise ValueError(f"it has no outputs {', '.join(missing)}, but {', '.join(there)}")


def _spell(shape: tuple[int | str, ...]) -> str:
    return ", ".join(map(str, shape))
