"""What can be wrong with the image files of data sets: missing, broken, turned, dark, or seen in training already."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import cv2
import numpy as np

from hrtoolkit.data.images import decode_image, has_sides_exchanged, read_extras, read_image_file
from hrtoolkit.data.paths import near_path
from hrtoolkit.errors import DataError
from hrtoolkit.findings import SHOWN_IDS, Findings, Level
from hrtoolkit.samples import Images, compare_size
from hrtoolkit.threads import in_threads

DARK, BRIGHT = 16, 239  # mean values: 12 bits in files of 16 stay below, what was cut off at 255 above
COMPARED = 100  # pairs of files of one name that are read before a run


class Look(NamedTuple):
    """What the data check keeps of an image."""

    error: str = ""
    digest: bytes | None = None  # of the file; None where it cannot be read
    mean: float = 128.0  # of its values
    orientation: int = 1
    upright: bool = False  # whether only the upright picture has the annotated size
    frames: int = 1
    misfit: str = ""  # its size and the annotated one, where they differ


def check_presence(name: str, images: Images) -> tuple[Findings, Images]:
    """Find the files that are not there; each folder is listed once, which is quick on network drives too.

    Args:
        name: of the data set.
        images: each once.

    Returns:
        what is missing, and the images that are there.
    """
    listed: dict[str, set[str]] = {}
    missing, unreadable = [], []
    for index, path in enumerate(map(os.fsdecode, images.paths.tolist())):
        folder, file = os.path.split(path)
        if folder not in listed:
            try:
                with os.scandir(folder or ".") as entries:
                    listed[folder] = {entry.name for entry in entries if entry.is_file()}
            except PermissionError as error:
                listed[folder] = set()
                unreadable.append(f"{folder}: {error.strerror}")
            except (OSError, ValueError):
                listed[folder] = set()
        if file not in listed[folder]:
            missing.append(index)
    findings = Findings(_common_folder(images, name))
    findings.add("stop", "folders that cannot be read", unreadable, "let yourself read them")
    near = (near_path(os.fsdecode(images.paths[index])) for index in missing[:SHOWN_IDS])
    shown = [f"but there is {path}" if path else "" for path in near]
    findings.add(
        "stop",
        "images that are not there",
        [_name(images, i, more) for i, more in zip(missing, [*shown, *[""] * len(missing)], strict=False)],
        "write their names as the files have them, copy them there, or correct the dataset's image_dir",
    )
    present = np.setdiff1d(np.arange(len(images.paths)), missing)
    return findings, Images(*(column[present] for column in images))


def check_contents(name: str, images: Images, any_size: bool = False) -> tuple[Findings, list[bytes | None]]:
    """Decode every image; the second is a digest of each file, None of one that cannot be read.

    Args:
        name: of the data set.
        images: each once.
        any_size: say nothing of images of another size than annotated.
    """
    looks = in_threads(lambda index: _look(images, index), range(len(images.paths)), f"{name} images")
    findings = Findings(_common_folder(images, name))

    def tell(level: Level, what: str, found: Callable[[Look], object], remedy: str) -> None:
        told = [(index, found(look)) for index, look in enumerate(looks)]
        shown = [_name(images, index, "" if text is True else str(text)) for index, text in told if text]
        findings.add(level, what, shown, remedy)

    found = [f"{images.ids[index]}: {look.error}" for index, look in enumerate(looks) if look.error]
    findings.add("stop", "images that cannot be read", found, "without them nothing can be trained")
    findings.add(
        "stop",
        "images of another size than annotated, by id",
        [f"{images.ids[index]}: {look.misfit}" for index, look in enumerate(looks) if look.misfit and not any_size],
        "annotations belong to images of the annotated size; where width and height are exchanged, turn the pixels",
    )
    tell(
        "note",
        "images that were annotated as viewers show them, turned by their EXIF orientation",
        lambda look: look.upright and f"orientation {look.orientation}",
        "training and testing turn them too, because only then they are of the annotated size",
    )
    tell(
        "warning",
        "images that viewers show turned or mirrored, by their EXIF orientation",
        lambda look: look.orientation > 1 and not look.upright and f"orientation {look.orientation}",
        "pixels are read as they are stored, and annotating programs may have turned them: look at some with "
        "tools/browse_data.py; if they are wrong, turn the pixels (ImageMagick's `mogrify -auto-orient`), else remove "
        "the orientation",
    )
    tell(
        "note",
        "images of several frames or pages",
        lambda look: look.frames > 1 and f"{look.frames} frames",
        "the first one is read",
    )
    for what, is_odd in (("nearly black", lambda x: x.mean < DARK), ("nearly white", lambda x: x.mean > BRIGHT)):
        count = sum(map(is_odd, looks))
        if count * 10 < len(looks):  # some pictures are like that
            continue
        most = count * 2 > len(looks)
        remedy = "was it to be so? 10 or 12 bits in files of 16 are scaled as 16, and values cut off at 255 are lost"
        tell("warning" if most else "note", f"images that are {what}", is_odd, remedy)
    return findings, [look.digest for look in looks]


def check_leaks(
    train: Images, other: Images, train_contents: list | None, other_contents: list | None, name: str
) -> Findings:
    """Find the images of validation or test data that training sees, which make every number too good.

    Args:
        train: images of the training data.
        other: of the other data.
        train_contents: digests of the files; None compares those of one name alone, and no more than COMPARED.
        other_contents: the same.
        name: of the other data.
    """
    findings = Findings(f"train and {name} data")
    remedy = f"take them out of one of the two, or the {name} numbers are better than they should be"
    paths = [[os.path.normpath(os.fsdecode(path)) for path in images.paths.tolist()] for images in (train, other)]
    if train_contents is not None and other_contents is not None:
        known = set(train_contents) - {None}
        same = np.array([digest in known for digest in other_contents], dtype=bool)
    else:
        same = _same_files(*paths)
    findings.add("warning", "images in both", [_name(other, i) for i in np.flatnonzero(same).tolist()], remedy)
    if train.ids.dtype.kind == other.ids.dtype.kind == "i":  # texts are file names, seen to above
        same_id = np.isin(other.ids, train.ids) & ~same
        findings.add("note", "image ids in both, for different files", other.ids[same_id], "check that they are two")
    return findings


def _look(images: Images, index: int) -> Look:
    path = os.fsdecode(images.paths[index])
    try:
        data = read_image_file(path)
        image = decode_image(data, path)
    except DataError as error:
        return Look(str(error))
    height, width = image.shape[:2]
    orientation, frames = read_extras(data)
    upright = orientation > 4 and has_sides_exchanged((height, width), images.sizes_wh[index].tolist())
    misfit = "" if upright else compare_size(images, index, (height, width))
    if misfit or (orientation > 4 and width != height and images.sizes_wh[index].all() and not upright):
        orientation = 1  # turned, it would not have the annotated size
    digest = hashlib.blake2b(data, digest_size=16).digest()
    return Look("", digest, sum(cv2.mean(image)) / 3, orientation, upright, frames, misfit)


def _same_files(train: list[str], other: list[str]) -> np.ndarray:
    """Which of the other files training has too [N]: by path, or by name and contents of the first that share one."""
    same = np.isin(other, train)
    named: dict[str, list[str]] = {}
    for path in train:
        named.setdefault(os.path.split(path)[1], []).append(path)
    twins = [(i, twin) for i in np.flatnonzero(~same) for twin in named.get(os.path.split(other[i])[1], ())]
    for index, twin in twins[:: -(-len(twins) // COMPARED) or 1]:
        with suppress(OSError):  # missing ones are found elsewhere
            same[index] |= filecmp.cmp(twin, other[index], shallow=False)
    return same


def _name(images: Images, index: int, more: str = "") -> str:
    """An image by id and path, as findings show it."""
    path = os.fsdecode(images.paths[index])
    image_id = images.ids[index]
    is_name = isinstance(image_id, str) and (path.endswith(image_id) or path.rpartition(".")[0].endswith(image_id))
    named = path if is_name else f"{image_id}: {path}"
    return f"{named}, {more}" if more else named


def _common_folder(images: Images, name: str) -> str:
    """What the paths of all images have in common, for messages; the data set's name where that is nothing."""
    folders = {os.path.split(os.fsdecode(path))[0] for path in images.paths.tolist()}
    try:
        return os.path.commonpath(folders) or name
    except ValueError:  # no images, or some are absolute and others are not
        return name
