"""Images that have a label file each: any two folders, or a list of pairs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.data.images import read_size
from hrtoolkit.data.listing import leave_out_system_files
from hrtoolkit.data.paths import find_files, near_path
from hrtoolkit.data.reading import read_lines
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.findings import SHOWN_IDS, Findings, Level
from hrtoolkit.records import Record
from hrtoolkit.samples import BaseSamples, Images

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
Faults = Literal["stop", "drop"]
_REMEDIES = {
    "stop": 'correct the dataset; its faults="drop" leaves them out',
    "warning": "they are left out",
}


class Pair(NamedTuple):
    """An image, its label file where there is one, and what they are called."""

    image: Path
    label: Path | None
    name: str


class LabelledImages(BaseSamples):
    """Images with a label file each, found in two folders of the same structure or through a list file.

    A subclass says what is in a label file: `truth`, and `label_size`.

    Args:
        data_root: folder of the data set.
        image_dir: folder of the images, below `data_root`; folders inside it are searched too.
        label_dir: folder of the labels, below `data_root`; None where there are none to score.
        image_suffix: how image names end; by default in anything that is an image.
        label_suffix: what replaces `image_suffix` (or the extension) in the name of the label file.
        list_file: instead of the two folders, lines of an image and a label, below `data_root`; further columns are
            not used. Columns are separated by tabs, or else by blanks.
        faults: "stop" refuses images or labels that are not there, "drop" leaves them out and warns.

    Raises:
        OptionError: neither folders nor a list are given.
        DataError: nothing is found, or the list is malformed.
    """

    truth_files = True

    def __init__(
        self,
        *,
        data_root: str,
        image_dir: str | None,
        label_dir: str | None,
        image_suffix: str | None,
        label_suffix: str,
        list_file: str | None,
        faults: Faults,
    ):
        place = image_dir if list_file is None else list_file
        if place is None or None not in (image_dir, list_file):
            raise OptionError(f"{type(self).__name__}: give image_dir (and label_dir), or list_file")
        root = Path(data_root)
        source = root / place
        self.findings = Findings(source)
        level: Level = "stop" if faults == "stop" else "warning"
        if list_file is not None:
            pairs = _read_list(root, source, level, self.findings)
        else:
            labels_in = None if label_dir is None else root / label_dir
            pairs = _find_pairs(source, labels_in, image_suffix, label_suffix, level, self.findings)
        if not pairs:
            self.findings.raise_stops()
            raise DataError("; ".join([f"{source}: no image is left to use", *filter(None, [self.how_to_get])]))
        _check_shared(pairs, self.findings)
        paths = np.array([os.fsencode(pair.image) for pair in pairs])
        self.images = Images(paths, np.array([pair.name for pair in pairs]), np.zeros((len(pairs), 2)))
        self.label_paths = np.array([os.fsencode(pair.label or "") for pair in pairs])
        self._size = -1, (0, 0)  # of which image, and its height and width

    def label_size(self, path: str) -> tuple[int, int] | None:
        """Width and height of a label file, from its first bytes; None where they cannot be read."""
        return read_size(path)

    def size_wh(self, sample: int) -> Sequence[float]:
        path = os.fsdecode(self.label_paths[sample])
        return (self.label_size(path) if path else None) or (0, 0)  # whoever reads a broken label is told

    def read(self, sample: int) -> ndarray:
        image = super().read(sample)
        self._size = sample, image.shape[:2]
        return image

    def check_size(self, sample: int, label_hw: tuple[int, int]) -> None:
        """Refuse a label of another size than its image.

        Args:
            sample: position of both.
            label_hw: height and width of the label.

        Raises:
            DataError: they differ.
        """
        image_hw = self._image_hw(sample, label_hw)
        if image_hw is not None and label_hw != image_hw:
            label, image = os.fsdecode(self.label_paths[sample]), os.fsdecode(self.images.paths[sample])
            raise DataError(
                f"{label}: the label is {_size(label_hw)}, its image {image} is {_size(image_hw)} (width x height); "
                "they must cover the same pixels"
            )

    def _image_hw(self, sample: int, label_hw: tuple[int, int]) -> tuple[int, int] | None:
        """Height and width of an image; those of the last one that was read are known, others stand in its file."""
        known, image_hw = self._size
        if known == sample:
            return image_hw
        size = read_size(os.fsdecode(self.images.paths[sample]), label_hw[::-1])
        return None if size is None else size[::-1]  # whoever reads the image is told

    def files(self) -> list[str]:
        return [*super().files(), *(os.fsdecode(path) for path in self.label_paths if path)]

    def to_learn(self, sample: int) -> Record:
        truth = self.truth(sample)
        if truth is None:
            path = os.fsdecode(self.images.paths[sample])
            raise DataError(f"{path} has no label to train on; set the dataset's label_dir")
        return truth


def _find_pairs(
    images_in: Path,
    labels_in: Path | None,
    image_suffix: str | None,
    label_suffix: str,
    level: Level,
    findings: Findings,
) -> list[Pair]:
    endings = IMAGE_SUFFIXES if image_suffix is None else (image_suffix,)
    images = _find_files(images_in, endings, image_suffix is None, findings)
    if not images:
        raise DataError(f"{images_in}: no image whose name ends in {' or '.join(endings)}")
    stems = [path.as_posix().removesuffix(image_suffix or path.suffix) for path in images]
    times = Counter(stems)
    # Images that differ in their extensions only keep them in their names: results must not be of one name.
    names = [stem if times[stem] == 1 else path.as_posix() for path, stem in zip(images, stems, strict=True)]
    images = [images_in / path for path in images]
    if labels_in is None:
        return [Pair(image, None, name) for image, name in zip(images, names, strict=True)]
    labels = [labels_in / f"{stem}{label_suffix}" for stem in stems]
    # In a folder that holds both, labels look like images that are their own labels.
    pairs = [Pair(*one) for one in zip(images, labels, names, strict=True) if one[0] != one[1]]
    found = {labels_in / path for path in _find_files(labels_in, (label_suffix,), False, findings)}
    unused = sorted(str(path) for path in found - {pair.label for pair in pairs})
    findings.add("warning", "labels without an image", unused, "they are not used; were images left out?")
    return _keep_present(pairs, [pair.label in found for pair in pairs], "labels", level, findings)


def _find_files(folder: Path, endings: tuple[str, ...], any_case: bool, findings: Findings) -> list[Path]:
    """Files below a folder whose names end so, sorted, without those of an operating system."""
    files = [Path(file) for file in find_files(folder) if (file.lower() if any_case else file).endswith(endings)]
    return leave_out_system_files(sorted(files), findings)


def _read_list(root: Path, path: Path, level: Level, findings: Findings) -> list[Pair]:
    rows = [(number, line.strip().split("\t" if "\t" in line else None)) for number, line in read_lines(path)]
    if any(len(row) > 1 for _, row in rows):
        alone = [f"line {number}: {row[0]}" for number, row in rows if len(row) == 1]
        findings.add(level, "images without a label, where others have one", alone, _REMEDIES[level])
        rows = [(number, row) for number, row in rows if len(row) > 1]
    images = [Path(os.path.normpath(root / row[0].strip())) for _, row in rows]
    labels = [root / row[1].strip() if len(row) > 1 else None for _, row in rows]
    times = Counter(map(str, images))
    twice = [image for image, count in times.items() if count > 1]
    findings.add("warning", "images listed more than once", twice, "they count more than once; list each once")
    # Names are unique and lie below a folder, because results are written by them: nobody's images are.
    base = os.path.normpath(root)
    if not all(image.is_relative_to(base) for image in images):
        base = os.path.commonpath([image.parent for image in images])
    files = [image.relative_to(base) for image in images]
    stems = Counter(file.with_suffix("") for file in {*files})
    names = [str(file if stems[file.with_suffix("")] > 1 else file.with_suffix("")) for file in files]
    pairs = [Pair(*one) for one in zip(images, labels, names, strict=True)]
    pairs = _keep_present(pairs, [pair.image.is_file() for pair in pairs], "images", level, findings)
    present = [pair.label is None or pair.label.is_file() for pair in pairs]
    return _keep_present(pairs, present, "labels", level, findings)


def _keep_present(pairs: list[Pair], present: list[bool], kind: str, level: Level, findings: Findings) -> list[Pair]:
    """The pairs whose images (or labels) are there; the others are found missing."""
    missing = [str(pair[kind == "labels"]) for pair, there in zip(pairs, present, strict=True) if not there]
    near = [(index, near_path(path)) for index, path in enumerate(missing[:SHOWN_IDS])]
    for index, path in near:
        missing[index] += f", but there is {path}" if path else ""
    findings.add(level, f"{kind} that are not there", missing, f"copy them there, or {_REMEDIES[level]}")
    return list(compress(pairs, present))


def _check_shared(pairs: list[Pair], findings: Findings) -> None:
    """Find label files that stand for several images."""
    images: dict[Path, set[str]] = {}
    for image, label, _ in pairs:
        if label is not None:
            images.setdefault(label, set()).add(image.name)
    shared = [f"{label}: {', '.join(sorted(names))}" for label, names in images.items() if len(names) > 1]
    remedy = "they cannot all have its pixels; choose by image_suffix, or correct the names or the list"
    findings.add("warning", "label files of more than one image", shared, remedy)


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]} x {size_hw[0]}"
