"""Toy faces: drawn heads with 68 landmarks in 300W's scheme, one .pts file beside each image.

A head is a rough ellipsoid in camera axes (x to the right, y down, z towards the viewer, unit: half the distance of the
outer eye corners) on which the landmarks lie. It is given proportions and an expression, turned, and seen without
perspective; skin, hair, eyes, nose and mouth are then painted through the landmarks, so that they can be found again in
the picture. Left and right of a face look alike, but for the way it looks.

Convention: points are (x, y) in image pixels with pixel centres on integers; .pts files count pixels from 1.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from hrtoolkit.errors import DataError
from hrtoolkit.files import write_atomically
from hrtoolkit.toy.people import HAIR, SKIN, SUBPIXEL_BITS, to_fixed_point
from hrtoolkit.visualization import write_image

log = logging.getLogger(__name__)

Color = np.ndarray | tuple[float, float, float]

VERSION = 1  # raise it when the same seed draws other pictures
SPLITS = ("trainset", "testset")
SIZE = 160  # of the square images


def make_landmarks(rng: np.random.Generator) -> np.ndarray:
    """A face that looks at the viewer, with proportions and an expression of its own, [68, 3] in the head's axes."""
    smile, open_mouth = rng.uniform(-0.06, 0.12), rng.uniform(0, 0.3) * (rng.random() < 0.5)
    open_eyes, raised = rng.uniform(0.6, 1.3), rng.uniform(-0.08, 0.12)
    long, wide, nose = rng.uniform(0.92, 1.08), rng.uniform(0.93, 1.07), rng.uniform(0.85, 1.15)

    t = np.linspace(0, np.pi, 17)
    jaw = np.stack(
        [-1.3 * wide * np.cos(t), 0.1 + 1.72 * long * np.sin(t) ** 0.9, -0.75 + 0.85 * np.sin(t) ** 2], axis=1
    )

    def half(points: list[tuple[float, float, float]]) -> np.ndarray:
        """A curve given on the right side, and its mirror image from the middle outwards."""
        right = np.array(points, float)
        return np.concatenate([right, right[::-1] * (-1, 1, 1)])

    up = -0.42 - raised
    brows = half([(-1.1, up + 0.14, 0), (-0.9, up - 0.02, 0.16), (-0.67, up - 0.06, 0.25), (-0.45, up - 0.03, 0.3),
                  (-0.24, up + 0.04, 0.33)])  # fmt: skip
    bridge = np.stack([np.zeros(4), np.linspace(-0.05, 0.6 * nose, 4), np.linspace(0.36, 0.75, 4)], axis=1)
    base = 0.74 * nose
    nostrils = np.array([(-0.28, base - 0.03, 0.34), (-0.14, base + 0.03, 0.44), (0, base + 0.06, 0.5),
                         (0.14, base + 0.03, 0.44), (0.28, base - 0.03, 0.34)])  # fmt: skip
    lid = 0.11 * open_eyes
    right_eye = np.array([(-1, 0, 0.05), (-0.83, -lid, 0.17), (-0.59, -lid, 0.22), (-0.42, 0.02, 0.2),
                          (-0.59, 0.7 * lid, 0.21), (-0.83, 0.7 * lid, 0.16)])  # fmt: skip
    left_eye = right_eye[[3, 2, 1, 0, 5, 4]] * (-1, 1, 1)
    y = base + 0.42
    low = y + open_mouth
    upper = [(-0.5, y - smile, 0.22), (-0.32, y - 0.1, 0.36), (-0.12, y - 0.14, 0.44), (0, y - 0.11, 0.45)]
    lower = [(0.32, low + 0.1, 0.34), (0.13, low + 0.16, 0.42), (0, low + 0.17, 0.43)]
    outer = mirror_ring(upper, lower)
    upper = [(-0.4, y - smile, 0.25), (-0.14, y - 0.02, 0.42), (0, y - 0.01, 0.43)]
    lower = [(0.14, low + 0.03, 0.41), (0, low + 0.04, 0.42)]
    inner = mirror_ring(upper, lower)
    points = np.concatenate([jaw, brows, bridge, nostrils, right_eye, left_eye, outer, inner])
    return points + rng.normal(0, 0.012, points.shape)


def mirror_ring(upper: list[tuple], lower: list[tuple]) -> np.ndarray:
    """A lip clockwise from the right corner: `upper` from there to the middle, `lower` from the left to the middle."""
    first, last = np.array(upper), np.array(lower)
    mirror = (-1, 1, 1)
    return np.concatenate([first, first[-2::-1] * mirror, last, last[-2::-1] * mirror])


def make_face(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a face: RGB uint8 [SIZE, SIZE, 3], and its landmarks [68, 2], all of them in the image."""
    head = make_landmarks(rng)
    yaw, pitch, roll = rng.normal(0, (18, 9, 10)).clip((-35, -18, -25), (35, 18, 25))
    scale = rng.uniform(0.15, 0.2) * SIZE
    turn = cv2.Rodrigues(np.radians((0, yaw, 0)))[0] @ cv2.Rodrigues(np.radians((pitch, 0, 0)))[0]
    turn = cv2.Rodrigues(np.radians((0, 0, roll)))[0] @ turn
    # The top of the head lies on the same ellipsoid as the jaw.
    t = np.linspace(0, np.pi, 13)
    skull = np.stack([1.36 * np.cos(t), -0.1 - 1.35 * np.sin(t), -0.7 + 0.55 * np.sin(t)], axis=1)
    hair_line = skull * (0.9, 0.62, 1) + (0, 0, 0.1)
    ears = head[[0, 16]] + np.array([(-0.08, 0.1, -0.1), (0.08, 0.1, -0.1)])
    everything = np.concatenate([head, skull, hair_line, ears]) @ turn.T * scale
    flat = everything[:, :2] - everything[:81, :2].mean(axis=0)
    low, high = flat[:68].min(axis=0), flat[:68].max(axis=0)
    room = np.maximum(SIZE - 1 - (high - low), 0)
    flat = flat - low + room * rng.uniform(0.35, 0.65, 2)
    points, skull, hair_line, ears = np.split(flat, [68, 81, 94])
    image = _paint(rng, points, skull, hair_line, ears, scale)
    return image, points.clip(0, SIZE - 1)


def write_faces(folder: str | os.PathLike, train: int = 1000, test: int = 100, seed: int = 0) -> bool:
    """Write toy faces as 300W keeps its own: an image and a .pts file each, in trainset/ and testset/.

    Face number i of a split depends only on the seed, not on how many there are.

    Args:
        folder: to write; `toy.txt` in it keeps the settings and is written last.
        train: number of faces to train on.
        test: number of faces to test on.
        seed: another seed, other faces.

    Returns:
        False if the folder already holds these very faces, and nothing was done.

    Raises:
        DataError: the folder holds something else.
    """
    folder = Path(folder)
    mark = folder / "toy.txt"
    settings = f"toy faces, version {VERSION}: {train} to train on, {test} to test on, seed {seed}\n"
    if mark.is_file() and mark.read_text() == settings:
        return False
    if mark.is_file() or (folder.is_dir() and any(p.name not in SPLITS for p in folder.iterdir())):
        raise DataError(f"{folder} holds something else than {settings.strip()}; delete it or choose another folder")
    for number, (split, count) in enumerate(zip(SPLITS, (train, test), strict=True)):
        (folder / split).mkdir(parents=True, exist_ok=True)
        for index in track(range(count), split, console=Console(stderr=True), disable=count < 250):
            image, points = make_face(np.random.default_rng([seed, number, index]))
            stem = folder / split / f"{split}_{index:05d}"  # names of test faces are no names of training faces
            write_image(stem.with_suffix(".png"), image)
            lines = "\n".join(f"{x:.3f} {y:.3f}" for x, y in points + 1)
            stem.with_suffix(".pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    with write_atomically(mark) as file:
        file.write(settings)
    return True


def _paint(
    rng: np.random.Generator,
    points: np.ndarray,
    skull: np.ndarray,
    hair_line: np.ndarray,
    ears: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Paint a head through its points over a smooth ground, from far to near."""
    noise = rng.uniform(40, 215, 3) + rng.normal(0, 22, (4, 4, 3))
    ground = cv2.resize(noise.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    image = np.clip(ground, 0, 255).astype(np.uint8)
    skin, hair = (np.array(palette[rng.integers(len(palette))], float) for palette in (SKIN, HAIR))
    lips, iris, shirt = skin * (0.85, 0.55, 0.55), rng.uniform(20, 110, 3), rng.uniform(20, 230, 3)

    def fill(outline: np.ndarray, color: Color) -> None:
        cv2.fillPoly(image, [to_fixed_point(outline)], _color(color), cv2.LINE_AA, SUBPIXEL_BITS)

    def line(curve: np.ndarray, color: Color, width: float, closed: bool = False) -> None:
        thickness = max(1, round(width * scale))
        cv2.polylines(image, [to_fixed_point(curve)], closed, _color(color), thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def disc(center: np.ndarray, radius: float, color: Color) -> None:
        x, y = to_fixed_point(center).tolist()
        cv2.circle(
            image, (x, y), round(radius * scale * 2**SUBPIXEL_BITS), _color(color), -1, cv2.LINE_AA, SUBPIXEL_BITS
        )

    jaw, chin = points[:17], points[8]
    down = chin - points[27]
    fill(
        np.stack([jaw[4], jaw[12], jaw[12] + 1.5 * down + (2 * scale, 0), jaw[4] + 1.5 * down - (2 * scale, 0)]), shirt
    )
    fill(np.stack([jaw[4], jaw[12], jaw[12] + 0.45 * down, jaw[4] + 0.45 * down]), 0.8 * skin)
    for ear in ears:
        disc(ear, 0.24, 0.85 * skin)
    fill(np.concatenate([jaw, skull]), skin)
    if rng.random() < 0.9:
        fill(np.concatenate([skull, hair_line[::-1]]), hair)
    line(jaw, 0.72 * skin, 0.05)
    for brow in (points[17:22], points[22:27]):
        line(brow, 0.7 * hair, 0.09)
    line(points[27:31], 0.8 * skin, 0.06)
    line(points[31:36], 0.6 * skin, 0.06)
    for eye in (points[36:42], points[42:48]):
        fill(eye, (240, 240, 238))
        disc(eye.mean(axis=0), 0.1, iris)
        line(eye, (35, 25, 25), 0.04, closed=True)
    fill(points[48:60], lips)
    fill(points[60:68], (70, 20, 25))
    line(points[48:60], 0.7 * lips, 0.03, closed=True)

    grain = rng.normal(0, rng.uniform(1, 6), image.shape)
    return np.clip(image * rng.uniform(0.7, 1.15) + grain, 0, 255).astype(np.uint8)


def _color(color: Color) -> list[float]:
    return np.clip(color, 0, 255).tolist()
