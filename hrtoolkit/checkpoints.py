"""Weights from anywhere into a model, and our own checkpoints onto the disk.

Files are read with `weights_only=True`: nothing in them can run code. Our own are known by what they say of themselves,
foreign ones by the names of their tensors, with or without `module.`: each task registers the formats of its kind.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlparse

import numpy as np
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from hrtoolkit.errors import CheckpointError
from hrtoolkit.files import write_atomically
from hrtoolkit.model import UNNAMED, Head, Model
from hrtoolkit.schemes import ClassScheme, Scheme, SchemeLike, resolve_scheme

# Of DataParallel, of torch.compile, and of the official segmentation code around network and loss.
WRAPPERS = ("module.", "_orig_mod.", "model.")
TIMM_PREFIX = "timm/"


@dataclass
class LoadReport:
    """What became of every tensor of a checkpoint and of the model.

    `str(report)` sums it up in a few lines; `report.details()` has every name.
    """

    source: str
    kind: str  # what the keys look like, such as "official pose"
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # in the model, not in the file: keep their initial values
    unexpected: list[str] = field(default_factory=list)  # in the file, not in the model: left unused
    mis_shaped: dict[str, tuple[tuple, tuple]] = field(default_factory=dict)  # name -> shapes in file and model
    adopted: dict[str, list[str]] = field(default_factory=dict)  # name -> output channels taken over by their names
    notes: list[str] = field(default_factory=list)  # what was converted on the way

    @property
    def ok(self) -> bool:
        """Every tensor of the model was in the file, and the other way round, in the same shape."""
        return self.fits and not self.unexpected

    @property
    def fits(self) -> bool:
        """Every tensor of the model was in the file in the same shape; the file may hold more."""
        return not self.missing and not self.mis_shaped and not self.adopted

    def part_fits(self, part: str, but: Collection[str] = ()) -> bool:
        """As `fits`, for one part of the model such as "backbone", whatever became of the names in `but`."""
        incomplete = {*self.missing, *self.mis_shaped, *self.adopted} - set(but)
        return not any(name.startswith(f"{part}.") for name in incomplete)

    def __str__(self) -> str:
        lines = [f"{self.source} ({self.kind})", *(f"  {note}" for note in self.notes)]
        parts = Counter(name.split(".")[0] for name in self.loaded)
        names = [*self.loaded, *self.missing, *self.mis_shaped, *self.adopted]
        for part, total in Counter(name.split(".")[0] for name in names).items():
            if parts[part] == total:
                lines.append(f"  {part}: all {total} tensors loaded")
            else:
                lines.append(f"  {part}: {parts[part]} of {total} tensors loaded")
        for name, (in_file, in_model) in self.mis_shaped.items():
            lines.append(f"  {name}: keeps its initial values, shape {in_file} in the file, {in_model} in the model")
        for name, channels in self.adopted.items():
            lines.append(f"  {name}: {len(channels)} channels taken over by name ({', '.join(channels)})")
        if self.missing:
            lines.append(f"  not in the file: {_summary(self.missing)}")
        if self.unexpected:
            lines.append(f"  not used: {_summary(self.unexpected)}")
        return "\n".join(_shorten(lines))

    def details(self) -> str:
        """Every name under its heading."""
        groups = {
            "loaded": self.loaded,
            "missing": self.missing,
            "unexpected": self.unexpected,
            "mis-shaped": [f"{n}: {a} in the file, {b} in the model" for n, (a, b) in self.mis_shaped.items()],
            "adopted by name": [f"{n}: {', '.join(channels)}" for n, channels in self.adopted.items()],
        }
        return "\n".join(
            f"{title} ({len(names)}):\n  " + "\n  ".join(names) for title, names in groups.items() if names
        )


class Format(NamedTuple):
    """How foreign files are known by the names of their tensors, and given ours; a task registers those of its kind.

    Args:
        name: what reports call it.
        recognises: `recognises(names) -> bool`, of all tensors of a file, without wrappers such as `module.`.
        convert: `convert(tensors) -> tensors, notes`, of a whole file, to the names `backbone.*`, `neck.*`, `head.*`.
    """

    name: str
    recognises: Callable[[Collection[str]], bool]
    convert: Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], list[str]]]


FORMATS: list[Format] = []


def register_format(*formats: Format) -> None:
    """Make foreign formats known; of several that recognise a file the first counts."""
    known = {one.name for one in FORMATS}
    FORMATS.extend(one for one in formats if one.name not in known)


def load_checkpoint(
    model: nn.Module,
    source: str | Path | Mapping,
    branch: str | None = None,
    scheme: SchemeLike | None = None,
    label: str | None = None,
) -> LoadReport:
    """Load what fits from a checkpoint of any known format, and tell what became of the rest.

    Where the file's outputs have other names than the model's (keypoints of another layout), the channels whose names
    agree are taken over and the others keep their initial values.

    Args:
        model: a model of ours, or a backbone alone.
        source: a file (.pth, .pt, .safetensors), its URL, "timm/NAME" for weights that timm downloads, or a loaded
            checkpoint.
        branch: which of a model's named branches a file with one task is for; files of several branches fill them all.
        scheme: what the outputs of the file stand for, where it does not say: "coco", names, or a scheme.
        label: what the report calls the source; by default its path.

    Raises:
        CheckpointError: the file is missing, damaged, holds code, or holds no tensors.
    """
    checkpoint = source if isinstance(source, Mapping) else read_checkpoint(source)
    label = label or ("checkpoint" if isinstance(source, Mapping) else str(source))
    tensors, kind, notes = _recognise(checkpoint, label)
    report = LoadReport(label, kind, notes=notes)
    target = model.state_dict()
    if isinstance(model, Model):
        tensors = _place(tensors, model.backbone)
        tensors = _to_branch(model, tensors, kind, branch, report)
    else:
        tensors = {name.removeprefix("backbone."): tensor for name, tensor in tensors.items()}
    values = {}
    for name, tensor in tensors.items():
        if name not in target:
            report.unexpected.append(name)
        elif (rows := _shared_outputs(model, name, checkpoint, tensor, target[name], scheme, report)) is not None:
            theirs, ours = [a for a, _ in rows.values()], [b for _, b in rows.values()]
            values[name] = target[name].clone()
            values[name][ours] = tensor[theirs].to(values[name])
            report.adopted[name] = list(rows)
        elif tensor.shape != target[name].shape:
            report.mis_shaped[name] = (tuple(tensor.shape), tuple(target[name].shape))
        else:
            values[name] = tensor
            report.loaded.append(name)
    # Files of torch 0.4 lack the batch counters, which only matter for cumulative averages.
    report.missing = [n for n in target if n not in tensors and not n.endswith("num_batches_tracked")]
    if isinstance(model, Model) and branch is not None:
        others = tuple(model.prefix(name) for name in model.branches if name != branch)
        report.missing = [name for name in report.missing if not name.startswith(others)]
    model.load_state_dict(values, strict=False)
    return report


def _to_branch(
    model: Model, tensors: dict[str, Tensor], kind: str, branch: str | None, report: LoadReport
) -> dict[str, Tensor]:
    """Put the tensors of a file with one task under the branch that they are for, as its head wants them."""
    if any(name.startswith("branches.") for name in tensors):
        return tensors
    if branch is None and len(model.branches) > 1:
        branches = ", ".join(model.branches)
        report.notes.append(f"only the backbone is taken over: say by `branch` which of {branches} the rest is for")
        return tensors
    name = next(iter(model.branches)) if branch is None else branch
    prefix = model.prefix(name)
    own = {key.removeprefix("head."): tensor for key, tensor in tensors.items() if key.startswith("head.")}
    own, notes = model.branch(name).head.adapt(own, kind)
    report.notes += notes
    placed = {}
    for key, tensor in tensors.items():
        if not key.startswith("head."):
            placed[f"{prefix}{key}" if key.startswith("neck.") else key] = tensor
    return placed | {f"{prefix}head.{key}": tensor for key, tensor in own.items()}


def read_checkpoint(path: str | Path) -> Mapping:
    """Read a checkpoint's content onto the CPU without running anything in it.

    Args:
        path: of a .pth, .pt or .safetensors file, its URL, or "timm/NAME".

    Raises:
        CheckpointError: see `load_checkpoint`.
    """
    if str(path).startswith(TIMM_PREFIX):
        return _download_from_timm(str(path).removeprefix(TIMM_PREFIX))
    path = _download(str(path)) if "://" in str(path) else Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it names {named[1]}" if named else "torch does not write such files"
        raise CheckpointError(
            f"{path}: refused, because it holds more than tensors and plain values, and reading that could run code "
            f"({reason}). Ask its author for the bare state_dict"
        ) from None
    except (RuntimeError, EOFError, KeyError, ValueError, safetensors.SafetensorError) as error:
        # Other kinds of error name a byte or a key, which helps nobody.
        detail = f" ({error})" if isinstance(error, RuntimeError | safetensors.SafetensorError) else ""
        raise CheckpointError(f"{path}: damaged, or no checkpoint at all{detail}; download or copy it again") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not tensors by name")
    return content


def write_checkpoint(checkpoint: Mapping, path: str | Path) -> None:
    """Write a checkpoint so that a kill or a full disk leaves the previous file whole.

    Raises:
        CheckpointError: it cannot be written.
    """
    try:
        with write_atomically(path, "wb") as file:
            torch.save(checkpoint, file)
    # torch reports a failed write of its own archive format as a RuntimeError.
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{path}: could not be written ({error}); the previous file is untouched") from error


def _recognise(checkpoint: Mapping, label: str) -> tuple[dict[str, Tensor], str, list[str]]:
    """Find the tensors, take off wrappers, and give what a known foreign format holds our names.

    Returns:
        the tensors, the name of the format, and notes on what was done.
    """
    found = checkpoint
    while nested := [key for key in ("state_dict", "model", "model_state") if isinstance(found.get(key), Mapping)]:
        found = found[nested[0]]
    if not any(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{label}: no tensors found; its keys are {list(found)[:10]}")
    tensors = {}
    for name, tensor in found.items():
        while name.startswith(WRAPPERS):
            name = name.split(".", 1)[1]
        if isinstance(tensor, Tensor) and not name.startswith("data_preprocessor."):
            tensors[name] = tensor
    if isinstance(meta := checkpoint.get("meta"), Mapping) and "hrtoolkit_version" in meta:
        return tensors, "hrtoolkit", []
    for one in FORMATS:
        if one.recognises(tensors.keys()):
            converted, notes = one.convert(tensors)
            return converted, one.name, notes
    return tensors, "OpenMMLab" if any(name.startswith("backbone.") for name in tensors) else "bare weights", []


def _place(tensors: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Give bare names, as backbones by themselves have them, to the backbone or else to the head."""
    if any(name.startswith(("backbone.", "branches.")) for name in tensors):
        return tensors
    parts = {name.split(".")[0] for name in backbone.state_dict()}

    def place(name: str) -> str:
        if name.startswith("head."):
            return name
        return f"{'backbone' if name.split('.')[0] in parts else 'head'}.{name}"

    return {place(name): tensor for name, tensor in tensors.items()}


def _shared_outputs(
    model: nn.Module,
    name: str,
    checkpoint: Mapping,
    theirs: Tensor,
    ours: Tensor,
    scheme: SchemeLike | None,
    report: LoadReport,
) -> dict[str, tuple[int, int]] | None:
    """Channels of equal name, name -> (in file, in model); None where a plain copy is right or nothing fits."""
    head = _head_of(model, name)
    if head is None:
        return None
    names = _row_names(head)
    if not theirs.ndim or theirs.shape[1:] != ours.shape[1:] or ours.shape[:1] != (len(names),):
        return None
    told = _output_names(checkpoint)
    if told is None and scheme is not None:
        told = _row_names(head, resolve_scheme(scheme, type(head.scheme)))
    if told is None and len(theirs) != len(names):
        note = "it does not say what its outputs stand for: give `scheme` to take over those of equal name"
        report.notes += [note] if note not in report.notes else []
    # A file that does not tell its names is trusted where the counts agree: there is nothing to match by.
    if not told or len(told) != len(theirs) or told == names:
        return None
    return {one: (told.index(one), names.index(one)) for one in names if one in told}


def _head_of(model: nn.Module, name: str) -> Head | None:
    """The head that a tensor of this name belongs to."""
    if isinstance(model, Model):
        for branch in model.branches:
            if name.startswith(f"{model.prefix(branch)}head."):
                return model.branches[branch].head
    return None


def _row_names(head: Head, scheme: Scheme | None = None) -> tuple[str, ...]:
    """Names of the rows of a head's last layers, or of such a head with another scheme; none if nobody knows."""
    scheme = scheme or head.scheme
    if isinstance(scheme, ClassScheme) and scheme.numbered:
        return ()
    return (*head.extra_outputs, *scheme.names)


def output_names(model: Model) -> list[str] | dict[str, list[str]]:
    """What the outputs stand for, as checkpoints keep it; by branch where branches have names."""
    names = {name: list(_row_names(branch.head)) for name, branch in model.branches.items()}
    return names[UNNAMED] if list(names) == [UNNAMED] else names


def _output_names(checkpoint: Mapping) -> tuple[str, ...] | None:
    """Names of the outputs where the file tells them: ours do, and OpenMMLab 1.x pose files."""
    meta = checkpoint.get("meta")
    if not isinstance(meta, Mapping):
        return None
    if isinstance(meta.get("output_names"), list) and meta["output_names"]:
        return tuple(meta["output_names"])
    by_id = (meta.get("dataset_meta") or {}).get("keypoint_id2name")
    return tuple(by_id[i] for i in sorted(by_id)) if by_id else None


def _download(url: str) -> Path:
    """Fetch a file once into torch's cache; later calls find it there."""
    name = PurePosixPath(urlparse(url).path)
    # Releases share names such as model_best.pth: the address tells them apart.
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    path = Path(torch.hub.get_dir()) / "checkpoints" / f"{name.stem}-{digest}{name.suffix}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path))
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{url}: could not be downloaded ({error}); fetch it elsewhere and name the file"
            ) from None
    return path


def _download_from_timm(name: str) -> Mapping:
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # network, hub and model errors come in many types; all mean the same here
        raise CheckpointError(
            f"timm/{name}: timm could not give these weights ({type(error).__name__}: {str(error).splitlines()[0]}); "
            "without a network, download the file elsewhere and name it instead"
        ) from error


def _safe_globals() -> list[Callable]:
    """What checkpoints may name besides tensors, all of it data: NumPy arrays and numbers, and loss histories."""
    numeric = np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"
    plain = [Counter, np.ndarray, np.dtype, *{type(np.dtype(code)) for code in numeric}]
    core = np._core if hasattr(np, "_core") else np.core  # renamed in NumPy 2, and both kinds of file exist
    numpy_functions = [
        _stand_in(f"numpy.{package}.multiarray.{name}", getattr(core.multiarray, name))
        for package in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ]
    # OpenMMLab 1.x files keep loss histories, and in them methods by way of `getattr`: neither is wanted here.
    history = type("HistoryBuffer", (), {"__module__": "mmengine.logging.history_buffer"})
    return [*plain, *numpy_functions, history, _stand_in("builtins.getattr", lambda *_: None)]


def _stand_in(name: str, function: Callable) -> Callable:
    """A function that torch finds under that name: it knows what is allowed by module and name."""

    def call(*args):
        return function(*args)

    call.__module__, call.__qualname__ = name.rsplit(".", 1)
    call.__name__ = call.__qualname__  # what torch before 2.5 looks at
    return call


SAFE_GLOBALS = _safe_globals()


def _summary(names: list[str]) -> str:
    """Names grouped by their first two components, with counts."""
    groups = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{group} ({count})" if count > 1 else group for group, count in groups.items())


def _shorten(lines: list[str], most: int = 16) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"  ... and {len(lines) - most} more lines; see details()"]
