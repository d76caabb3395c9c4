"""What a reader of an annotation format gives: pictures, one at a time, with what is annotated in each.

Coordinates are pixels of the image as the tool means them, counted from 0; boxes and polygons are edges. What a format
does not say is None and is derived later, by one set of rules for all (`hrtoolkit.importers.complete`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Point = tuple[float, float, int]  # x, y, and COCO's visibility: 0 not labelled, 1 hidden, 2 visible


class Instance(NamedTuple):
    """One annotated thing."""

    label: str  # its class
    box_xyxy: Sequence[float] | None = None
    points: Mapping[str, Point] | None = None  # by name; what is not labelled may be missing
    polygons: Sequence[Sequence[float]] | None = None  # each x, y, x, y, ...
    run_lengths: dict | None = None  # COCO's {size: [height, width], counts}, instead of polygons
    area: float | None = None  # square pixels, as annotated
    crowd: bool = False  # a region of many
    ignored: bool = False  # finding it or not costs nothing
    id: int | None = None
    attributes: Mapping[str, Any] | None = None  # what else is known, such as a track; kept, and not trained on


class Picture(NamedTuple):
    """One annotated image."""

    name: str  # as the format calls it
    instances: Sequence[Instance]
    file: Path | None = None  # of the image; None where it was not found, or lies inside the annotations
    size_wh: tuple[int, int] | None = None  # as annotated
    split: str = ""  # train, val, test, or nothing
    id: int | None = None
    pixels: bytes | np.ndarray | None = None  # of an image inside the annotations: a file, or uint8 [H, W(, 3)]
