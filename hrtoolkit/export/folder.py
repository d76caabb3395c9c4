"""The folder of an export: the model, all that `hrtoolkit.runtime` needs to use it, and a copy of that runtime."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from hrtoolkit import runtime
from hrtoolkit.errors import OptionError
from hrtoolkit.export.graph import IMAGES, Graph
from hrtoolkit.files import CONFIG_FILE, write_atomically
from hrtoolkit.model import Branch, Model
from hrtoolkit.records import join
from hrtoolkit.runtime.network import LAYOUT, SETTINGS, hash_files, model_files
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
    model: Model, branch: Branch, graph: Graph, format: Format, precision: Precision, uint8: bool
) -> dict[str, Any]:
    """What `preprocess.json` says, but for the hash of the model.

    Raises:
        OptionError: the way from pictures to inputs, or from outputs to records, is not one that the runtime knows.
    """
    view, head = branch.view, branch.head
    assert view is not None, "a predictor has one"
    finish: Mapping[str, object] | None = None
    if branch.finish is not join:
        tell = getattr(branch.finish, "portable", None)
        finish = {"type": type(branch.finish).__name__} if tell is None else tell()
    try:
        reading = head.reading()
    except NotImplementedError as error:
        raise OptionError(str(error)) from None
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
            "sizes": head.reads_sizes,
        },
        "view": view.portable(),
        "outputs": list(graph.outputs),
        "read": reading,
        "finish": finish,
        "flip_test": model.flip_test,
        "branch": next(name for name, one in model.branches.items() if one is branch),
    }
    for what, name, known in (
        ("looks at pictures", view.portable()["type"], VIEWS),
        ("reads outputs", reading["kind"], READ),
        ("finishes records", None if finish is None else finish["type"], FINISH),
    ):
        if name is not None and name not in known:
            raise OptionError(
                f"{name}, which {what}, is not among what hrtoolkit.runtime can do without PyTorch: {', '.join(known)}"
            )
    return told


def scheme_fields(scheme: Scheme) -> dict[str, Any]:
    """What `scheme.json` says."""
    fields = dataclasses.asdict(scheme)
    return {"kind": scheme.OUTPUTS, "colors": fields.pop("palette"), **fields}


def write_folder(folder: Path, told: Mapping[str, Any], scheme: Scheme, config: str | None) -> None:
    """Write everything but the model, which is there, and its certificate.

    Args:
        folder: holds the model.
        told: see `describe`.
        scheme: of the outputs.
        config: of the model, as json.
    """
    content = {**told, "sha256": hash_files(model_files(folder, told["model"]))}
    for name, value in ((SETTINGS, content), (SCHEME, scheme_fields(scheme))):
        with write_atomically(folder / name) as file:
            json.dump(value, file, indent=1)
    with write_atomically(folder / CONFIG_FILE) as file:
        file.write(config or "{}")
    source = Path(runtime.__file__).parent
    shutil.copytree(source, folder / RUNTIME, ignore=shutil.ignore_patterns("__pycache__", EXAMPLE))
    shutil.copy(source / EXAMPLE, folder / EXAMPLE)
