"""The folder of an export: the model, all that `hrtoolkit.runtime` needs to use it, and a copy of that runtime.

Of several branches it holds a folder for each of their views, with one network, and `joint.json`, which names them.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hrtoolkit import runtime
from hrtoolkit.errors import OptionError
from hrtoolkit.export.graph import IMAGES, SIZES, Graph, runs_once
from hrtoolkit.files import CONFIG_FILE, write_atomically
from hrtoolkit.model import Model
from hrtoolkit.records import join
from hrtoolkit.runtime.network import JOINT, LAYOUT, SETTINGS, hash_files, model_files
from hrtoolkit.runtime.reading import FINISH, READ
from hrtoolkit.runtime.scheme import SCHEME
from hrtoolkit.runtime.views import VIEWS
from hrtoolkit.schemes import Scheme
from hrtoolkit.version import __version__

Format = Literal["onnx", "openvino", "pt2"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
MODEL_FILES = {"onnx": "model.onnx", "openvino": "model.xml", "pt2": "model.pt2"}
EXAMPLE = "predict.py"  # how to use it, which goes beside the copy
RUNTIME = "hrtoolkit_runtime"  # what the copy is called, which must not hide an installed package


def describe(
    model: Model, branches: Sequence[str], graph: Graph, format: Format, precision: Precision, uint8: bool, joint: bool
) -> dict[str, Any]:
    """What `preprocess.json` says, but for the hash of the model.

    Args:
        model: that was traced.
        branches: names of those in the graph, which share a view.
        graph: of them.
        format: of the file.
        precision: that it computes in.
        uint8: it takes bytes.
        joint: settings of each branch stand under its name, and have its scheme.

    Raises:
        OptionError: the way from pictures to inputs, or from outputs to records, is not one that the runtime knows.
    """
    view = model.branches[branches[0]].view
    assert view is not None, "a predictor has one"
    each = {name: describe_branch(model, name) for name in branches}
    told = {
        "hrtoolkit": __version__,
        "layout": LAYOUT,
        "model": MODEL_FILES[format],
        "format": format,
        "precision": precision,
        "input": {
            "name": IMAGES,
            "dtype": "uint8" if uint8 else "float32",
            "shape": list(graph.shape),
            "color_order": "rgb",
            "mean": list(view.mean),
            "std": list(view.std),
            "multiple": view.multiple,
            "smallest": view.smallest,
            "sizes": SIZES in graph.inputs,
        },
        "view": view.portable(),
        "outputs": list(graph.outputs),
        "flip_test": model.flip_test,
    }
    if not joint:
        return {**told, **each[branches[0]], "branch": branches[0]}
    schemes = {name: scheme_fields(model.branches[name].head.scheme) for name in branches}
    return {**told, "branches": {name: {**one, "scheme": schemes[name]} for name, one in each.items()}}


def describe_branch(model: Model, name: str) -> dict[str, Any]:
    """How the outputs of a branch become records, for `preprocess.json`.

    Raises:
        OptionError: it runs the network several times an image, or needs what the runtime does not know.
    """
    branch, lead = model.branches[name], f"{name}: " if name else ""
    if not runs_once(branch):
        path = f"model.branches.{name}" if name else "model"
        raise OptionError(
            f"{lead}{type(branch.inference).__name__} runs the network several times an image, and an export is one "
            f"graph: leave it out (--set {path}.inference=None)"
        )
    view, finish = branch.view, None
    assert view is not None, "a predictor has one"
    if branch.finish is not join:
        tell = getattr(branch.finish, "portable", None)
        finish = {"type": type(branch.finish).__name__} if tell is None else tell()
    try:
        reading = branch.head.reading()
    except NotImplementedError as error:
        raise OptionError(f"{lead}{error}") from None
    for what, kind, known in (
        ("looks at pictures", view.portable()["type"], VIEWS),
        ("reads outputs", reading["kind"], READ),
        ("finishes records", None if finish is None else finish["type"], FINISH),
    ):
        if kind is not None and kind not in known:
            raise OptionError(
                f"{lead}{kind}, which {what}, is not among what hrtoolkit.runtime can do without PyTorch: "
                f"{', '.join(known)}"
            )
    return {"read": reading, "finish": finish}


def group_by_view(model: Model, branches: Sequence[str]) -> dict[str, list[str]]:
    """Branches of a model by their view: what shares a graph.

    Raises:
        OptionError: the name of one of several views cannot be that of a folder.
    """
    views: dict[str, list[str]] = {}
    for name in branches:
        views.setdefault(model.looks[name], []).append(name)
    for view in views if len(branches) > 1 else ():
        if not re.fullmatch(r"\w[\w-]*", view) or view == RUNTIME:
            raise OptionError(f"model.views: {view!r} is to be a folder's name: take letters, digits, _ and -")
    return views


def scheme_fields(scheme: Scheme) -> dict[str, Any]:
    """What `scheme.json` says."""
    fields = dataclasses.asdict(scheme)
    return {"kind": scheme.OUTPUTS, "colors": fields.pop("palette"), **fields}


def write_settings(folder: Path, told: Mapping[str, Any]) -> None:
    """Write what is needed to run the network of a folder, see `describe`."""
    _write_json(folder / SETTINGS, {**told, "sha256": hash_files(model_files(folder, told["model"]))})


def write_scheme(folder: Path, scheme: Scheme) -> None:
    """Write what the outputs of the only branch of a folder stand for."""
    _write_json(folder / SCHEME, scheme_fields(scheme))


def write_joint(folder: Path, views: Mapping[str, Sequence[str]], detector: str | None) -> None:
    """Write which branches a folder has.

    Args:
        folder: holds those of views.
        views: the branches of each.
        detector: the branch whose boxes are looked into.
    """
    told = {"hrtoolkit": __version__, "layout": LAYOUT, "views": views, "detector": detector}
    _write_json(folder / JOINT, told)


def _write_json(path: Path, content: object) -> None:
    with write_atomically(path) as file:
        json.dump(content, file, indent=1)


def write_runtime(folder: Path, config: str | None) -> None:
    """Write the config of a model, as json, and a copy of the runtime with an example."""
    with write_atomically(folder / CONFIG_FILE) as file:
        file.write(config or "{}")
    source = Path(runtime.__file__).parent
    shutil.copytree(source, folder / RUNTIME, ignore=shutil.ignore_patterns("__pycache__", EXAMPLE))
    shutil.copy(source / EXAMPLE, folder / EXAMPLE)
