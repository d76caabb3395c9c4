"""Label maps as pictures: overlays and a legend."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from hrtoolkit.tasks.segmentation.classes import IGNORED, ClassSet

LINE_HEIGHT, SWATCH_WIDTH, GROUND, INK = 18, 30, 24, 235


def overlay_labels(image: np.ndarray, labels: np.ndarray, classes: ClassSet, opacity: float = 0.6) -> np.ndarray:
    """Colour an image by its classes; what is IGNORED keeps the image's own colour.

    Args:
        image: RGB uint8 [H, W, 3].
        labels: class indices uint8 [H, W].
        classes: the colours.
        opacity: of the colours.
    """
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(classes.names)] = classes.palette
    mixed = cv2.addWeighted(image, 1 - opacity, palette[labels], opacity, 0)
    return np.where((labels == IGNORED)[..., None], image, mixed)


def draw_legend(classes: ClassSet, notes: Sequence[str], columns: int = 3) -> np.ndarray:
    """Draw the colour, name and note of every class, RGB uint8 [H, W, 3], column after column.

    Args:
        classes: names and colours.
        notes: one a class, such as its IoU.
        columns: side by side, fewer where there are few classes.
    """
    lines = [f"{name}  {note}" for name, note in zip(classes.names, notes, strict=True)]
    columns = min(columns, -(-len(lines) // 8))
    rows = -(-len(lines) // columns)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4
    width = SWATCH_WIDTH + 12 + max(cv2.getTextSize(line, font, scale, 1)[0][0] for line in lines)
    legend = np.full((rows * LINE_HEIGHT, columns * width, 3), GROUND, np.uint8)
    for index, (line, color) in enumerate(zip(lines, classes.palette, strict=True)):
        top, left = index % rows * LINE_HEIGHT, index // rows * width
        legend[top + 2 : top + LINE_HEIGHT - 2, left + 2 : left + SWATCH_WIDTH] = color
        position = (left + SWATCH_WIDTH + 5, top + LINE_HEIGHT - 5)
        cv2.putText(legend, line, position, font, scale, (INK,) * 3, 1, cv2.LINE_AA)
    return legend
