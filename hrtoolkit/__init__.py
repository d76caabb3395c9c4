"""hrtoolkit: one HRNet backbone for every task."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hrtoolkit.version import __version__

__all__ = ["__version__", "build_model", "from_pretrained", "load", "load_checkpoint"]

if TYPE_CHECKING:
    from hrtoolkit.build import build_model
    from hrtoolkit.checkpoints import load_checkpoint
    from hrtoolkit.predict import from_pretrained, load

# Imported when they are asked for: torch, timm and mmengine take seconds, and `hrtoolkit --help` needs none of them.
_PLACES = {
    "build_model": "build",
    "from_pretrained": "predict",
    "load": "predict",
    "load_checkpoint": "checkpoints",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hrtoolkit.{_PLACES[name]}"), name)
