"""What took the place of options of earlier versions."""

from __future__ import annotations

from hrtoolkit.views import OLD_TRANSFORMS


def _resize_flip(options: dict) -> tuple[dict, dict]:
    sizes = options.get("sizes", [(1333, 800)])
    augmentation = {"type": "ResizeAugmentation", "flip": options.get("flip", 0.0)}
    if len(sizes) > 1:
        augmentation["sizes"] = sizes
    return {"type": "FitInside", "size": tuple(sizes[0])}, augmentation


OLD_TRANSFORMS["ResizeFlip"] = _resize_flip
