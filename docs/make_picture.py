"""Draw the moving picture at the top of README.md: drawn people, and what a network trained on such people finds.

make demo
python docs/make_picture.py work_dirs/hrnet_toy/best.pth docs/images/people.webp
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import hrtoolkit
from hrtoolkit.toy.people import Pose, make_person
from hrtoolkit.toy.scenes import draw_background, paint_

SIZE_HW = (216, 560)
FRAMES = 36
PEOPLE = ((1, 165.0, 95.0), (3, 165.0, 280.0), (9, 165.0, 465.0))  # seed, height, where; in pixels


def moving(phase: float) -> Pose:
    """A pose that comes back after a phase of 1: arms that rise and sink, knees that bend."""
    up, side = 0.5 - 0.5 * np.cos(2 * np.pi * phase), np.sin(2 * np.pi * phase)
    return Pose(
        pitch=(0, 0),
        roll=(8 * side, 8 * side),
        arm=(10 + 105 * up, 25 + 130 * up),
        arm_swing=(10, 20),
        forearm=(-10 + 30 * up, 30 * up),
        elbow=(10, 15),
        leg=(4 + 12 * up, 8 + 12 * up),
        leg_swing=(0, 12 * up),
        knee=(0, 20 * up),
    )


def draw_frame(number: int) -> tuple[np.ndarray, list[list[float]]]:
    """An image, and the box of everybody in it."""
    image = draw_background(np.random.default_rng(5), *SIZE_HW)
    boxes = []
    for seed, height, x in PEOPLE:
        pose = moving(number / FRAMES + seed / 7)
        person = make_person(np.random.default_rng(seed), height, np.array(cv2.mean(image)[:3]), seed, pose)
        person = person.moved(np.array([x, 0.53 * SIZE_HW[0]]))
        paint_(image, person)
        low, high = person.bounds()
        boxes.append([*low.tolist(), *high.tolist()])
    return image, boxes


def main(weights: str, out: str) -> None:
    predictor = hrtoolkit.load(weights, flip=True)
    pictures = []
    for number in range(FRAMES):
        image, boxes = draw_frame(number)
        prediction = next(iter(predictor([image], boxes=[boxes])))
        pictures.append(Image.fromarray(np.concatenate([image, prediction.draw()])))
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=80, loop=0, quality=60, method=6)
    print(f"{out}: {FRAMES} frames, {Path(out).stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
