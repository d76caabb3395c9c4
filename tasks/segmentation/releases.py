"""Releases whose label maps are MATLAB files, turned into the PNGs that the configs read.

These are PASCAL-Context and COCO-Stuff 10k; the others are read as they come.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from hrtoolkit.data.mat import read_mat
from hrtoolkit.data.reading import read_lines
from hrtoolkit.errors import DataError
from hrtoolkit.files import place_inside, write_atomically

# The 60 classes of the benchmark among the 459 of PASCAL-Context's label maps; the others are background, which is 0.
CONTEXT_IDS = (
    *(0, 2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104, 105, 113, 115, 144, 158),
    *(159, 162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296, 308, 324, 326, 347, 349, 354, 355, 360, 366),
    *(368, 397, 415, 416, 420, 424, 427, 440, 445, 454, 458),
)


def convert_pascal_context(voc: Path, labels: Path) -> None:
    """Write the folder `context` of label PNGs, train.lst and val.lst into a VOC2010 folder.

    A pixel gets the position of its class among `CONTEXT_IDS`. VOC2010's train and val are the benchmark's.

    Args:
        voc: VOCdevkit/VOC2010, with JPEGImages and ImageSets/Main.
        labels: PASCAL-Context's folder of .mat files of 459 classes, `trainval`.

    Raises:
        DataError: a file is missing or is not what it should be.
    """
    table = np.zeros(460, np.uint8)
    table[list(CONTEXT_IDS)] = np.arange(len(CONTEXT_IDS))
    for split in ("train", "val"):
        names = _read_names(voc / "ImageSets" / "Main" / f"{split}.txt")
        _convert(labels, names, voc / "context", "LabelMap", table)
        with write_atomically(voc / f"{split}.lst") as file:
            file.writelines(f"JPEGImages/{name}.jpg\tcontext/{name}.png\n" for name in names)


def convert_coco_stuff(release: Path) -> None:
    """Write train/label, test/label (PNGs) and train/image, test/image (links) into the folder of the 10k release.

    Args:
        release: with annotations (.mat files of 0 to 182), images and imageLists.

    Raises:
        DataError: a file is missing or is not what it should be.
    """
    for split in ("train", "test"):
        names = _read_names(release / "imageLists" / f"{split}.txt")
        _convert(release / "annotations", names, release / split / "label", "S", np.arange(183, dtype=np.uint8))
        images = release / split / "image"
        images.mkdir(parents=True, exist_ok=True)
        for name in names:
            link = place_inside(images, f"{name}.jpg")
            if not (release / "images" / link.name).is_file():
                raise DataError(f"{release / 'images' / link.name}: no such image; unpack the release's images there")
            if not link.exists():
                link.unlink(missing_ok=True)  # one that leads nowhere
                link.symlink_to(Path("..", "..", "images", link.name))


def _convert(source: Path, names: list[str], target: Path, variable: str, table: np.ndarray) -> None:
    for name in track(names, str(target), console=Console(stderr=True), disable=len(names) < 250):
        path = place_inside(target, f"{name}.png")
        if path.exists():  # whole, from a conversion that was stopped
            continue
        values = _read_label_map(source / f"{name}.mat", variable, len(table))
        with write_atomically(path, "wb") as file:
            Image.fromarray(table[values]).save(file, format="PNG")


def _read_label_map(path: Path, variable: str, count: int) -> np.ndarray:
    if not path.is_file():
        raise DataError(f"{path}: no such label file; unpack the release there or correct the folder")
    values = read_mat(path, [variable]).get(variable)
    if values is None or values.ndim != 2 or not values.size or values.dtype.kind not in "iu":
        raise DataError(f"{path}: holds no label map {variable!r} [H, W]; this is another release")
    if values.min() < 0 or values.max() >= count:
        raise DataError(f"{path}: {variable} goes from {values.min()} to {values.max()}, expected 0 to {count - 1}")
    return values


def _read_names(path: Path) -> list[str]:
    return [name for _, line in read_lines(path) for name in line.split()]
