"""Toy data on disk: people in COCO's format with label maps, or sorted into classes."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.files import write_atomically
from hrtoolkit.toy.people import CLASSES, KEYPOINTS
from hrtoolkit.toy.scenes import make_portrait, make_scene
from hrtoolkit.visualization import write_image

log = logging.getLogger(__name__)

VERSION = 3  # raise it when the same seed draws other pictures, or other files come with them
SPLITS = ("train2017", "val2017")
FIRST_IMAGE_ID = {"train2017": 1, "val2017": 500_001}  # ids depend on no count
SKELETON = (  # COCO's lines, counted from 1
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip


def write_coco(folder: str | os.PathLike, train: int = 1200, val: int = 200, seed: int = 0) -> bool:
    """Write a dataset in the layout of COCO 2017: train2017/, val2017/, annotations/person_keypoints_*.json.

    Label maps of the people's parts, with the values of LABELS, lie in labels/train2017 and labels/val2017 as PNGs.
    Beside them depth/ has PNGs of 16 bit, in millimetres, and normals/ PNGs of 8 bit, (v + 1) / 2 for x to the right, y
    down and z to the viewer; 0 says that nothing is known.

    Image number i of a split depends only on the seed, not on how many there are. `toy.json` keeps the settings and
    says whether the folder is complete; after an interruption the same call starts over.

    Returns:
        False if the folder already holds this very dataset, and nothing was done.

    Raises:
        OptionError: a count or the seed is out of range.
        DataError: the folder holds something else.
    """
    return _write_once(Path(folder), SPLITS, _write_split, {"train": train, "val": val, "seed": seed})


def write_classes(folder: str | os.PathLike, train: int = 1200, val: int = 200, seed: int = 0) -> bool:
    """Write a folder an image class, train/CLASS/ and val/CLASS/, with one person of CLASSES in each image.

    Otherwise as `write_coco`; classes take turns.
    """
    settings = {"train": train, "val": val, "seed": seed, "classes": list(CLASSES)}
    return _write_once(Path(folder), ("train", "val"), _write_class_split, settings)


def _write_once(folder: Path, splits: tuple[str, str], write_split: Callable[..., None], settings: dict) -> bool:
    """Write both splits unless the folder holds them; refuse a folder with anything else in it."""
    train, val, seed = settings["train"], settings["val"], settings["seed"]
    if not (0 <= train <= 500_000 and 0 <= val <= 500_000 and train + val > 0 and seed >= 0):
        raise OptionError(f"train and val should be 0 to 500000, one above 0, seed >= 0; got {train}, {val} and {seed}")
    settings = {"version": VERSION, **settings}
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; choose another folder for the toy data")
    if folder.is_dir() and any(folder.iterdir()):
        found = _read_mark(folder / "toy.json")
        if {key: value for key, value in found.items() if key != "complete"} != settings:
            raise DataError(
                f"{folder} is not empty and holds {f'toy data made with {found}' if found else 'other data'}, "
                f"not toy data made with {settings}; delete the folder or choose another"
            )
        if found["complete"]:
            log.info("%s already holds the toy data made with %s", folder, settings)
            return False
    _write_json(folder / "toy.json", settings | {"complete": False})
    for number, (split, count) in enumerate(zip(splits, (train, val), strict=True)):
        write_split(folder, split, [seed, number], count)
    _write_json(folder / "toy.json", settings | {"complete": True})
    return True


def _write_class_split(folder: Path, split: str, seed: list[int], count: int) -> None:
    for index in track(range(count), split, console=Console(stderr=True), disable=count < 250):
        name = list(CLASSES)[index % len(CLASSES)]
        image = make_portrait(np.random.default_rng([*seed, index]), name)
        path = folder / split / name / f"{index:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)


def _write_split(folder: Path, split: str, seed: list[int], count: int) -> None:
    images, annotations = [], []
    (folder / split).mkdir(parents=True, exist_ok=True)
    for index in track(range(count), split, console=Console(stderr=True), disable=count < 250):
        scene = make_scene(np.random.default_rng([*seed, index]))
        image_id = FIRST_IMAGE_ID[split] + index
        file_name = f"{image_id:012d}.jpg"
        write_image(folder / split / file_name, scene.image)  # OpenCV's default JPEG quality is 95
        known = np.isfinite(scene.depth)
        millimetres = np.rint(1000 * np.where(known, scene.depth, 0)).astype(np.uint16)
        colors = np.rint(127.5 * (np.where(known[..., None], scene.normals, -1) + 1)).astype(np.uint8)
        for kind, pixels in (("labels", scene.labels), ("depth", millimetres), ("normals", colors[..., ::-1])):
            with write_atomically(folder / kind / split / f"{image_id:012d}.png", "wb") as file:
                file.write(cv2.imencode(".png", pixels)[1].tobytes())
        height, width = scene.image.shape[:2]
        images.append({"id": image_id, "file_name": file_name, "height": height, "width": width, "license": 1})
        for number, annotation in enumerate(scene.annotations):
            annotations.append({"id": 10 * image_id + number, "image_id": image_id} | annotation)
    person = {"id": 1, "name": "person", "supercategory": "person", "keypoints": KEYPOINTS, "skeleton": SKELETON}
    content = {
        "info": {"description": f"hrtoolkit toy data, {split}", "version": str(VERSION), "year": 2017},
        "licenses": [{"id": 1, "name": "Made by a program, free for any use", "url": ""}],
        "categories": [person],
        "images": images,
        "annotations": annotations,
    }
    _write_json(folder / "annotations" / f"person_keypoints_{split}.json", content)


def _read_mark(path: Path) -> dict:
    try:
        mark = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return mark if isinstance(mark, dict) and "complete" in mark else {}


def _write_json(path: Path, content: dict) -> None:
    with write_atomically(path) as file:
        file.write(json.dumps(content))  # json.dump is many times slower
