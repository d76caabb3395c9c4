"""A small folder of drawn scenes with label PNGs, and tiny models."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

NAMES = ["ground", "left", "right"]
SCHEME = dict(names=NAMES, ids=[10, 20, 30], ignored=[0], mirrored=[["left", "right"]])
TINY = dict(
    type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, fuse_upsample="bilinear"
)


@pytest.fixture
def label_folder(tmp_path) -> Path:
    """images/{a..d}.jpg (40x32) and labels/{a..d}.png: ground 10, a square 20 on the left, one 30 on the right."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in "abcd":
        image = rng.integers(0, 80, (32, 40, 3), dtype=np.uint8)
        label = np.full((32, 40), 10, np.uint8)
        top = rng.integers(4, 12)
        label[top : top + 14, 3:15], label[top : top + 14, 24:36] = 20, 30
        label[:2] = 0
        image[label == 20] = (250, 40, 40)
        image[label == 30] = (40, 40, 250)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), image[..., ::-1])
        Image.fromarray(label).save(tmp_path / "labels" / f"{name}.png")
    return tmp_path
