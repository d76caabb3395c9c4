"""Pictures to look at: real ones where they are at hand."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrtoolkit.data.images import read_image

FOLDERS = ("coco/val2017", "300w/testset", "camvid/val", "ants-bees/val/ants")


@pytest.fixture(scope="session")
def photos():
    """RGB pictures of several sizes and both shapes."""
    rng = np.random.default_rng(0)
    sizes = [(120, 160), (160, 120), (90, 91), (300, 70), (40, 200)]
    made = [cv2.GaussianBlur(rng.integers(0, 256, (*size, 3), dtype=np.uint8), (0, 0), 2) for size in sizes]
    folder = os.environ.get("HRTOOLKIT_TEST_DATA")
    if folder:
        for name in FOLDERS:
            made += [read_image(path) for path in sorted((Path(folder) / name).glob("*.[jp][pn]g"))[:2]]
    return made
