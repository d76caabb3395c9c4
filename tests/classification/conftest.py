"""A small folder of classes: images of one color each, darker or brighter."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLORS = {"blue": (40, 60, 220), "green": (30, 200, 40), "red": (220, 50, 40)}


@pytest.fixture
def class_folder(tmp_path) -> Path:
    """train/ with 4, 3 and 4 images of three classes, val/ with 3, 2 and 2; sizes differ."""
    rng = np.random.default_rng(0)
    for split, counts in {"train": (4, 3, 4), "val": (3, 2, 2)}.items():
        for (name, color), count in zip(COLORS.items(), counts, strict=True):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                height, width = rng.integers(40, 80, 2)
                noise = rng.normal(0, 20, (height, width, 3))
                pixels = np.clip(np.array(color) * rng.uniform(0.6, 1.1) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{number}.png")
    return tmp_path
