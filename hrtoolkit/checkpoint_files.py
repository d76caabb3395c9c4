"""Checkpoint files: read without running anything in them, and written whole.

What a file is, its first bytes say and not its name. PyTorch's files are read with `weights_only=True`: nothing in them
can run code. What is no checkpoint at all is called what it is, with the next move.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import shlex
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import safetensors.torch
import timm
import torch

from hrtoolkit.downloads import hash_file
from hrtoolkit.errors import CheckpointError, UserError, shorten, suggest
from hrtoolkit.files import CONFIG_FILE, WEIGHTS_FILE, write_atomically
from hrtoolkit.published import NAME, WEIGHTS
from hrtoolkit.weights import TIMM_PREFIX, find_weights, forget, stands_for

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".tar", ".bin")  # of checkpoints; for advice alone

_AGAIN = "download or copy it again"
_OURS = "PyTorch's files and safetensors are read here"
_UNPACK = "unpack it and name the checkpoint inside"
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what torch's files before 1.6 begin with
_BY_OWNER = "Its owner, who has the code and trusts the file, saves the weights alone:"
# Runs what is in the file, so it is for who made it: weights of a whole model, or what lies beside odd objects.
_SAVE_WEIGHTS = (
    "python -c \"import torch; c = torch.load('FILE', 'cpu', weights_only=False); "
    "m = [v for v in [c, *(c.values() if isinstance(c, dict) else [])] if isinstance(v, torch.nn.Module)]; "
    "torch.save(m[0].state_dict() if m else c.get('state_dict', c), 'weights.pth')\""
)
# Of the standard library: no checkpoint needs them.
_DANGEROUS = re.compile(
    r"(os|posix|nt|sys|subprocess|socket|shutil|runpy|importlib|ctypes|webbrowser|pty|code|codeop)(\.|$)"
    r"|(eval|exec|compile|open|__import__|breakpoint|input|exit|quit)$"
)
# (offset, bytes, what such a file is and what to do)
SIGNATURES = (
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer, not the file that it stands for; run git lfs pull in the clone",
    ),
    (0, b"\x1f\x8b", f"packed by gzip; {_UNPACK} (gunzip, or tar xf where it is a .tar.gz)"),
    (0, b"BZh", f"packed by bzip2; {_UNPACK} (bunzip2, or tar xf)"),
    (0, b"\xfd7zXZ", f"packed by xz; {_UNPACK} (unxz, or tar xf)"),
    (0, b"\x28\xb5\x2f\xfd", f"packed by zstd; {_UNPACK} (unzstd)"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7-Zip archive; {_UNPACK}"),
    (0, b"Rar!", f"a RAR archive; {_UNPACK}"),
    (257, b"ustar", f"a tar archive; {_UNPACK} (tar xf)"),
    (
        0,
        b"\x89HDF",
        f"an HDF5 file, as Keras and TensorFlow write them; {_OURS}: convert it with the code that made it",
    ),
    (0, b"\x08\x01\x12", f"a TensorFlow SavedModel; {_OURS}: convert it with the code that made it"),
    (4, b"TFL3", f"a TensorFlow Lite model; {_OURS}, so name the weights that it was made from"),
    (0, b"ftrt", f"a TensorRT engine; {_OURS}, so name the weights that it was made from"),
    (0, b"GGUF", f"a GGUF file; {_OURS}"),
    (0, b"\x93NUMPY", f"a NumPy array; {_OURS}"),
    (0, b"MATLAB", f"a MATLAB file; {_OURS}"),
    (0, b"\x00\x05\x16\x07", "macOS's notes on another file; name the file without ._ before its name"),
    (0, b"\x89PNG", "a picture; name the file of the weights"),
    (0, b"\xff\xd8\xff", "a picture; name the file of the weights"),
    (0, b"%PDF", "a PDF document; name the file of the weights"),
)


def read_checkpoint(source: str | Path) -> Mapping:
    """Read a checkpoint's content onto the CPU without running anything in it.

    Args:
        source: path of a file of PyTorch's or safetensors' whatever it is called, its URL, "timm/NAME",
            "CONFIG@official" (or "@timm", "@openmmlab") for what a shipped config publishes, or a folder that
            `save_pretrained` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or holds what reading would have to run.
    """
    name = stands_for(str(source))
    if name.startswith(TIMM_PREFIX):
        return _read_timm(name)
    if "://" not in name and not NAME.fullmatch(name):
        return _read_file(Path(os.path.expandvars(name)).expanduser())
    return _read_fetched(name, find_weights(name))


def write_checkpoint(checkpoint: Mapping, path: str | Path) -> None:
    """Write a checkpoint so that a kill or a full disk leaves the previous file whole.

    Raises:
        CheckpointError: it cannot be written.
    """
    size = sum(tensor.nbytes for _, tensor in find_tensors(checkpoint))
    try:
        with write_atomically(path, "wb", size) as file:
            torch.save(checkpoint, file)
    except UserError as error:
        raise CheckpointError(f"{error}; the previous file is untouched") from error


def find_tensors(content: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors of a checkpoint, at any depth, with their names joined by dots."""
    if isinstance(content, torch.Tensor):
        yield name, content
    elif isinstance(content, Mapping | list | tuple):
        for key, value in content.items() if isinstance(content, Mapping) else enumerate(content):
            yield from find_tensors(value, f"{name}.{key}" if name else str(key))


def _read_folder(folder: Path) -> Mapping:
    """What `hrtoolkit.pretrained` wrote, as a checkpoint of ours has it."""
    path, weights = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        meta["config"] = json.dumps(meta["config"])
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path}: not the config of a model that hrtoolkit wrote; {_AGAIN}") from None
    content = _read_file(weights)
    expected = str(meta.get("sha256", ""))
    if not hash_file(weights).startswith(expected):
        raise CheckpointError(
            f"{weights}: damaged, or of another model than {path}, which expects the sha256 {expected}; {_AGAIN}, or "
            "remove sha256 there if you changed the weights on purpose"
        )
    return {"meta": meta, "state_dict": content}


def _read_file(path: Path) -> Mapping:
    if (path / CONFIG_FILE).is_file():
        return _read_folder(path)
    try:
        _check_place(path)
        with path.open("rb") as file:
            head = file.read(512)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from None
    reason = _what_else(head)
    if reason is None and head.startswith(b"PK"):
        reason = _what_archive(path)
    if reason is not None:
        raise CheckpointError(f"{path}: {reason.replace('FILE', str(path))}")
    try:
        if _is_safetensors(head):
            content = safetensors.torch.load_file(path)
        else:
            # Of a path torch looks at the name, too.
            with torch.serialization.safe_globals(SAFE_GLOBALS), path.open("rb") as file:
                content = torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_why_refused(str(error)).replace('FILE', str(path))}") from None
    except Exception as error:  # a damaged file brings out errors of any type, and their words help nobody
        detail = f" ({str(error).splitlines()[0]})" if isinstance(error, RuntimeError) and str(error) else ""
        raise CheckpointError(f"{path}: damaged, or no checkpoint at all{detail}; {_AGAIN}") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}, not tensors by name; save a state_dict of a model"
        )
    return content


def _check_place(path: Path) -> None:
    """Raise a CheckpointError where there is no file to open."""
    if path.is_file():
        return
    if path.is_dir():
        inside = sorted(one.name for one in path.iterdir() if not one.name.startswith("."))
        if "data.pkl" in inside:
            name = shlex.quote(path.resolve().name)
            advice = f"an unpacked checkpoint; pack it again: cd {path}/.. && zip -0 -q -r weights.pth {name}"
        else:
            found = [name for name in inside if name.endswith(SUFFIXES)]
            advice = f"a folder; name a checkpoint in it: {shorten(found)}" if found else "a folder without checkpoints"
        raise CheckpointError(f"{path}: {advice}")
    if path.is_symlink():
        raise CheckpointError(f"{path}: a link to {path.readlink()}, where nothing is")
    if path.exists():
        raise CheckpointError(f"{path}: no regular file")
    around = path.parent.iterdir() if path.parent.is_dir() else ()
    near = suggest(path.name, [*(one.name for one in around), *WEIGHTS])
    raise CheckpointError(f"{path}: no such checkpoint file{near}")


def _what_else(head: bytes) -> str | None:
    """What a file is that is no checkpoint, by its first bytes, and what to do; None where it may be one."""
    if not head:
        return f"an empty file; {_AGAIN}"
    if not any(head):
        return f"nothing but zeros, as downloads that were not finished have; {_AGAIN}"
    for offset, magic, sentence in SIGNATURES:
        if head.startswith(magic, offset):
            return sentence
    if head.startswith((b"PK", _OLD_TORCH)) or _is_safetensors(head):
        return None
    if head[0] == 8 and head[1] < 32 and (b"pytorch" in head or head[2:3] in (b"\x12", b":", b"B")):
        return f"an ONNX network; {_OURS}, so name the weights that it was exported from"
    if _OLD_TORCH.startswith(head):
        return f"a file that was cut off after {len(head)} bytes; {_AGAIN}"
    if re.match(rb"\x80[\x02-\x05]", head):
        return (
            f"a plain pickle, as Python and not torch.save writes it, and reading that could run code. {_BY_OWNER} "
            "python -c \"import pickle, torch; torch.save(pickle.load(open('FILE', 'rb')), 'weights.pth')\""
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<script", b"<!--")):
        return "a web page (HTML), as links to a download page give; open the link in a browser and download the file"
    if start.startswith(b"<"):
        return f"an XML document, perhaps the refusal of a server: {_begins(head)}; {_AGAIN}"
    if b"\0" not in head and len(re.findall(rb"[^\t\n\r -~]", head)) < len(head) / 10:
        return f"a text that begins with {_begins(head)}; {_AGAIN}"
    return f"something unknown, beginning with the bytes {head[:8].hex(' ')}; {_OURS}"


def _begins(head: bytes) -> str:
    return repr(head.decode(errors="replace").strip().splitlines()[0][:60])


def _is_safetensors(head: bytes) -> bool:
    """Whether these are the length of a json header and its beginning."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**30


def _what_archive(path: Path) -> str | None:
    """What a zip file is that is no checkpoint, and whether it is whole; None for a sound checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            names = [one.filename for one in entries]
            if reason := _what_contents(names):
                return reason
            if sum(one.file_size for one in entries) > 100 * path.stat().st_size:
                return "a file that unpacks to more than a hundred times its size; do not trust it"
            for one in entries:
                if one.CRC:  # torch can be told to leave it out
                    _read_through(archive, one)
    except zipfile.BadZipFile as error:
        rotten = re.search(r"CRC-32 for file '(.*)'", str(error))
        if rotten:
            what = f"damaged: the checksum of {rotten[1]} in it is not the one that was written"
        else:
            what = f"a file that was cut off or damaged ({path.stat().st_size} bytes, without a sound list of contents)"
        return f"{what}; {_AGAIN}"
    except Exception as error:  # zipfile meets damage with errors of any type
        return f"a damaged file ({type(error).__name__}); {_AGAIN}"
    return None


def _read_through(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Read an entry to its end, where zipfile compares its checksum; 1.4 GB a second."""
    with archive.open(entry) as file:
        while file.read(2**20):
            pass


def _what_contents(names: list[str]) -> str | None:
    """What a zip file of these names is, if no checkpoint."""
    last = {name.rsplit("/", 1)[-1] for name in names}
    if "data.pkl" in last:
        if "constants.pkl" not in last:
            return None
        return (
            f"a TorchScript archive, a program with its weights. {_BY_OWNER} "
            "python -c \"import torch; torch.save(torch.jit.load('FILE', 'cpu').state_dict(), 'weights.pth')\""
        )
    if any(name.endswith(".npy") for name in last):
        return f"an archive of NumPy arrays (npz); {_OURS}"
    if "model.weights.h5" in last or "saved_model.pb" in last:
        return f"a Keras or TensorFlow model; {_OURS}: convert it with the code that made it"
    if "archive_format" in last or "serialized_exported_program.json" in last:
        return f"an exported program of PyTorch (pt2); {_OURS}, so name the weights that it was made from"
    inside = [name for name in names if name.endswith(SUFFIXES) and "__MACOSX" not in name]
    if inside:
        return f"a zip archive that holds {shorten(inside)}; {_UNPACK} (unzip)"
    return f"a zip archive without a checkpoint; it holds {shorten(sorted(last))}"


def _why_refused(error: str) -> str:
    """Why torch would not read a pickle without running code, and what its owner can do."""
    named = re.search(r"GLOBAL (\S+)", error)
    if named is None:
        if re.search(r"Unsupported operand 1(4\d|50|51)\b", error):
            return f"refused, because it is a pickle of a newer protocol than torch's own. {_BY_OWNER} {_SAVE_WEIGHTS}"
        return f"damaged, or no checkpoint at all; {_AGAIN}"
    refused = "refused, because it holds more than tensors and plain values, and reading that could run code"
    if _DANGEROUS.match(named[1]):
        return f"{refused} (it names {named[1]}, which no checkpoint needs: do not load it anywhere)"
    return f"{refused} (it names {named[1]}: a whole model, or an object of other code). {_BY_OWNER} {_SAVE_WEIGHTS}"


def _read_fetched(name: str, path: Path) -> Mapping:
    try:
        return _read_file(path)
    except CheckpointError as error:
        if not forget(name):
            raise
        raise CheckpointError(f"{name}: what came is something else, and was removed again: {error}") from None


def _read_timm(name: str) -> Mapping:
    """Weights of timm by the names that its network gives them."""
    weights = _read_fetched(name, find_weights(name))
    try:
        network: Any = timm.create_model(
            name.removeprefix(TIMM_PREFIX), pretrained=True, pretrained_cfg_overlay={"state_dict": weights}
        )
    except (RuntimeError, KeyError) as error:
        forget(name)
        raise CheckpointError(f"{name}: not the weights of this network ({str(error).splitlines()[0]})") from error
    about = {key: value for key, value in network.pretrained_cfg.items() if key != "state_dict"}
    return {"state_dict": network.state_dict(), "args": about}


class _Ordered(OrderedDict):
    """Makes a plain OrderedDict, in place of dictionaries of other packages: torch fills no other kind."""

    def __new__(cls, *args: Any) -> OrderedDict:  # type: ignore[misc]  # not of this class, on purpose
        return OrderedDict(*args)


# Dictionaries, and objects whose content nobody wants here, by the names under which files have them.
_DICTIONARIES = (
    "mmengine.config.config.ConfigDict",
    "mmcv.utils.config.ConfigDict",
    "addict.addict.Dict",
    "yacs.config.CfgNode",
    "easydict.EasyDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
)
_UNWANTED = (
    "mmengine.logging.history_buffer.HistoryBuffer",  # of OpenMMLab 1.x, and in them methods by way of `getattr`
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "typing.Any",
)


def _safe_globals() -> list[Callable | tuple[Callable, str]]:
    """What checkpoints may name besides tensors, all of it data: arrays, numbers, options, paths, loss histories."""
    plain_dtypes = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?SU"
    plain: list[Callable] = [Counter, np.ndarray, np.dtype, *{type(np.dtype(code)) for code in plain_dtypes}]
    plain += [argparse.Namespace, SimpleNamespace, torch.torch_version.TorchVersion, list, dict, int, float, str, tuple]
    core = np._core if hasattr(np, "_core") else np.core  # renamed in NumPy 2, and both kinds of file exist
    functions = {
        f"numpy.{package}.multiarray.{name}": getattr(core.multiarray, name)
        for package in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    }
    functions |= {f"pathlib{m}.{p}Path": _join_path for m in ("", "._local") for p in ("Posix", "Windows", "PurePosix")}
    functions["builtins.bytes"] = lambda: b""  # of arrays without elements
    functions["builtins.getattr"] = lambda *_: None
    functions["collections.defaultdict"] = lambda *_: OrderedDict()
    stand_ins = [_stand_in(name, function) for name, function in functions.items()]
    for base, names in ((_Ordered, _DICTIONARIES), (object, _UNWANTED)):
        for name in names:
            module, qualname = name.rsplit(".", 1)
            stand_ins.append(type(qualname, (base,), {"__module__": module}))
    return [*plain, *stand_ins]


def _join_path(*parts: str) -> str:
    return "/".join(map(str, parts))


def _stand_in(name: str, function: Callable) -> Callable:
    """A function that torch finds under that name: it knows what is allowed by module and name."""

    def call(*args: object) -> object:
        return function(*args)

    call.__module__, call.__qualname__ = name.rsplit(".", 1)
    call.__name__ = call.__qualname__  # what torch before 2.5 looks at
    return call


SAFE_GLOBALS = _safe_globals()
