"""A small folder of drawn scenes with depth and normals, and a tiny backbone."""

from pathlib import Path

import cv2
import numpy as np
import pytest

TINY = dict(
    type="HRNet",
    width=4,
    modules=(1, 1, 1),
    blocks=1,
    layer1_blocks=1,
    layer1_planes=8,
    fuse_upsample="bilinear",
    init="kaiming",
)
LEFT, RIGHT = np.array([-0.6, 0.0, 0.8]), np.array([0.6, 0.0, 0.8])


def write_png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), array if array.ndim == 2 else np.ascontiguousarray(array[..., ::-1]))


def write_depth(path: Path, metres: np.ndarray) -> None:
    write_png(path, np.rint(metres * 1000).astype(np.uint16))


def write_normals(path: Path, normals: np.ndarray) -> None:
    write_png(path, np.rint((normals + 1) * 127.5).astype(np.uint8))


@pytest.fixture
def folder(tmp_path) -> Path:
    """images/{a..d}.jpg (40x32): a red square 2 m away that looks to the left, a blue one 3 m away that looks right.

    depth/*.png in millimetres, normals/*.png of 8 bit; of the first two rows nothing is known. The ground is 5 m away.
    """
    rng = np.random.default_rng(0)
    for name in "abcd":
        image = rng.integers(0, 80, (32, 40, 3), dtype=np.uint8)
        depth, normals = np.full((32, 40), 5.0), np.tile([0.0, 0.0, 1.0], (32, 40, 1))
        top = rng.integers(4, 12)
        for columns, color, metres, normal in (
            (slice(3, 15), (250, 40, 40), 2.0, LEFT),
            (slice(24, 36), (40, 40, 250), 3.0, RIGHT),
        ):
            rows = slice(top, top + 14)
            image[rows, columns], depth[rows, columns], normals[rows, columns] = color, metres, normal
        depth[:2], normals[:2] = 0, -1
        (tmp_path / "images").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), image[..., ::-1])
        write_depth(tmp_path / "depth" / f"{name}.png", depth)
        write_normals(tmp_path / "normals" / f"{name}.png", normals)
    return tmp_path


DEPTH = dict(type="ValuePairs", image_dir="images", label_dir="depth", label_suffix=".png", scale=0.001)
NORMALS = dict(DEPTH, label_dir="normals", scale=2 / 255, offset=-1.0)
