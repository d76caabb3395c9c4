"""Where a top-down network looks: boxes that a person gives, or that a detector finds."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
import torchvision
from numpy import ndarray

from hrtoolkit.errors import OptionError, suggest
from hrtoolkit.runtime import boxes
from hrtoolkit.runtime.boxes import (
    LEAST_SCORE,
    Boxes,
    BoxesLike,
    Detector,
    Find,
    check_inside,
    use_boxes,
)
from hrtoolkit.weights import copy_to_cache

__all__ = ["Boxes", "BoxesLike", "Detector", "Find", "check_inside", "use_boxes", "use_detector"]


def use_detector(detector: Detector, device: torch.device) -> Find:
    """Look where a detector finds something, with a score of 0.5 at least.

    Args:
        detector: see `hrtoolkit.runtime.boxes.use_detector`; also the name of one of torchvision's detectors.
        device: that torchvision's detector runs on.

    Raises:
        OptionError: the name is not known, or the predictor finds no boxes.
        CheckpointError: weights cannot be fetched.
    """
    name = os.fspath(detector) if isinstance(detector, (str, os.PathLike)) else ""
    return boxes.use_detector(_torchvision(name, device) if name and not name.endswith(".onnx") else detector)


def _torchvision(name: str, device: torch.device) -> Callable[[ndarray], ndarray]:
    """People found by one of torchvision's detectors, trained on COCO."""
    known = torchvision.models.list_models(module=torchvision.models.detection)
    if name not in known:
        near = suggest(name, known) or f"; torchvision has {', '.join(known)}"
        raise OptionError(f"no detector is called {name!r}{near}")
    weights = torchvision.models.get_model_weights(name).DEFAULT
    copy_to_cache(weights.url)  # where torchvision finds it
    model = torchvision.models.get_model(name, weights=weights).eval().to(device)
    person = weights.meta["categories"].index("person")

    @torch.inference_mode()
    def detect(image: ndarray) -> ndarray:
        pixels = torch.from_numpy(image).to(device).permute(2, 0, 1).float() / 255
        (found,) = model([pixels])
        rows = torch.cat([found["boxes"], found["scores"][:, None]], dim=1)
        return rows[(found["labels"] == person) & (found["scores"] >= LEAST_SCORE)].cpu().numpy()

    return detect
