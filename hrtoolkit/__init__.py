"""hrtoolkit: one HRNet backbone for every task."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

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


if not TYPE_CHECKING:  # or every misspelt name would be something to those who check types

    def __getattr__(name: str) -> object:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"hrtoolkit.{_PLACES[name]}"), name)
