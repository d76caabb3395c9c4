"""Run exported models without PyTorch: with NumPy, OpenCV, and ONNX Runtime or OpenVINO.

Nothing here imports the rest of hrtoolkit, and all imports within are relative: an exported folder carries a copy of
these files under the name hrtoolkit_runtime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = ["JointPredictor", "Network", "Prediction", "Predictor", "Source", "load", "load_joint", "open_network"]

if TYPE_CHECKING:
    from .joint import JointPredictor, load_joint
    from .network import Network, open_network
    from .prediction import Prediction
    from .predictor import Predictor, load
    from .sources import Source

# Imported when they are asked for: who wants the errors alone goes without NumPy and OpenCV.
_PLACES = {
    "JointPredictor": "joint",
    "Network": "network",
    "Prediction": "prediction",
    "Predictor": "predictor",
    "Source": "sources",
    "load": "predictor",
    "load_joint": "joint",
    "open_network": "network",
}


if not TYPE_CHECKING:  # or every misspelt name would be something to those who check types

    def __getattr__(name: str) -> object:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
