"""Images with one class each: folders of classes, and lists of files (ImageNet's val_map.txt, csv)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import track
from torchvision.datasets.folder import IMG_EXTENSIONS

from hrtoolkit.data.listing import leave_out_system_files
from hrtoolkit.data.paths import find_files
from hrtoolkit.data.reading import find_image_folder
from hrtoolkit.errors import DataError, shorten, suggest
from hrtoolkit.findings import Finding, Findings, Level
from hrtoolkit.records import Category
from hrtoolkit.registry import DATASETS
from hrtoolkit.samples import BaseSamples, Images
from hrtoolkit.schemes import ClassScheme, SchemeLike, resolve_scheme
from hrtoolkit.tasks.classification.reading import (
    NUMERIC,
    Entry,
    imagenet,
    label_classes,
    name_classes,
    read_list,
    remedy,
)


class LabelledImages(BaseSamples):
    """Images and labels as flat arrays; a subclass reads one layout.

    Args:
        folder: holds the images.
        files: of N images, below `folder`.
        labels: [N] class of each, from 0.
        scheme: the classes.
        findings: what is wrong with the folder or list.
        partial: whether the data may hold some of the classes only.
    """

    scheme: ClassScheme
    moved = MappingProxyType(
        {
            "class_names": "model.head.scheme",
            "num_classes": "model.head.scheme",
            "strict": lambda _: "leave it out",
        }
    )

    def __init__(
        self,
        *,
        folder: Path,
        files: Sequence[str],
        labels: Sequence[int],
        scheme: ClassScheme,
        findings: Findings,
        partial: bool,
    ):
        paths = np.array([os.fsencode(folder / file) for file in files])
        self.images = Images(paths, np.array(files), np.zeros((len(files), 2)))
        self.labels = np.array(labels, dtype=np.int64)
        self.scheme = scheme
        self.findings = findings
        self.partial = partial

    def check_labels(self, name: str, whole: bool) -> list[Finding]:
        """Name the classes that no image has; training needs two that some have."""
        findings, names, training = Findings(f"{name} data"), self.scheme.names, name == "train"
        counts = np.bincount(self.labels, minlength=len(names))
        seen, absent = ([n for n, count in zip(names, counts, strict=True) if bool(count) == has] for has in (1, 0))
        if len(names) < 2:
            findings.add("stop", "a class that is alone leaves nothing to decide", names, "add images of another one")
        elif len(seen) < 2:
            level: Level = "stop" if training else "warning"
            findings.add(level, "all images are of one class", seen, f"the others have none: {shorten(absent)}")
        elif self.partial:
            from_1 = self.scheme.numbered and absent[:1] == ["0"] and seen[0] == "1"
            cause = "; the numbers count from 0: do these count from 1?" if from_1 else ""
            remedy = f"they are neither learned nor scored{cause}"
            findings.add("warning" if training else "note", "classes that no image has", absent, remedy)
        return findings

    def truth(self, sample: int) -> Category:
        """The class of an image.

        Args:
            sample: its position.
        """
        return Category(self.labels[sample].item())


@DATASETS.register_module()
class ImageFolder(LabelledImages):
    """One folder a class, as ImageNet is unpacked; classes are numbered in the order of their sorted names.

    Args:
        data_root: folder of the data set.
        image_dir: holds the class folders, below `data_root` or below `data_root/images`.
        scheme: the classes whose folders are read, in order; left out, those of the model, or all that there are.

    Raises:
        DataError: there is no class folder, or none holds an image.
    """

    how_to_get = (
        "put the images into DIR/train/CLASS/ and DIR/val/CLASS/ and say --data-root DIR; ImageNet is at "
        "https://image-net.org/download.php. Without any, `python tools/make_toy_data.py --classes` makes data for "
        "configs/classification/hrnet_toy.py"
    )

    def __init__(self, *, data_root: str, image_dir: str, scheme: SchemeLike | None = None):
        folder = find_image_folder(Path(data_root), image_dir)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {self.how_to_get}")
        findings = Findings(folder)
        found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
        found = leave_out_system_files(found, findings)
        if not found:
            raise DataError(f"{folder}: holds no folders; put the images of each class into a folder of its own")
        classes = resolve_scheme(found if scheme is None else scheme, ClassScheme)
        if classes.numbered:  # the folders have names
            classes = name_classes(found, classes)
        missing = [name for name in classes.names if name not in set(found)]
        partial = len(classes.names) == 1000 and classes is imagenet()
        if not partial:
            findings.add("stop", "classes without a folder", missing, f"there are folders for {shorten(found)}")
        spare = [name for name in found if name not in set(classes.names)]
        findings.add("warning", "folders that are no class", spare, "their images are left out")
        files, labels = _find_images(folder, classes.names, missing, findings)
        if not files:
            findings.raise_stops()
        super().__init__(folder=folder, files=files, labels=labels, scheme=classes, findings=findings, partial=partial)


def _find_images(
    folder: Path, names: Sequence[str], missing: Sequence[str], findings: Findings
) -> tuple[list[str], list[int]]:
    """The images of all classes, below their folder, and their labels; sorted."""
    entries: list[tuple[int, str]] = []
    progress: dict[str, Any] = {"console": Console(stderr=True), "transient": True, "disable": len(names) < 100}
    there = [(label, name) for label, name in enumerate(names) if name not in set(missing)]
    for label, name in track(there, f"finding images in {folder}", **progress):
        entries += [(label, f"{name}/{file}") for file in find_files(folder / name)]
    kept = leave_out_system_files([path for _, path in entries], findings)
    others = {path for path in kept if not path.lower().endswith(IMG_EXTENSIONS)}
    images = {*kept} - others
    entries = sorted((label, path) for label, path in entries if path in images)
    labels, files = [label for label, _ in entries], [file for _, file in entries]
    filled = {*labels, *(names.index(name) for name in missing)}
    empty = [name for label, name in enumerate(names) if label not in filled]
    endings = ", ".join(IMG_EXTENSIONS)
    findings.add("stop", "class folders without an image", empty, f"add some ({endings}) or remove the folder")
    remedy = f"they are left out; images end in {endings}"
    findings.add("warning", "files that are no images", sorted(others), remedy)
    return files, labels


@DATASETS.register_module()
class ImageList(LabelledImages):
    """A text file with an image and its class in each line, such as ImageNet's `val_map.txt`.

    Image and class are separated by a TAB, by a comma (in files that end in .csv), or by the last space; a first line
    such as `path,label` is no image. Classes are whole numbers from 0, or names.

    Args:
        data_root: folder of the data set.
        ann_file: the list, below `data_root`.
        image_dir: what the paths in the list begin at, below `data_root` or below `data_root/images`.
        scheme: the classes, or their number; left out, those of the model, or the sorted names of the list. A list of
            numbers, or of ImageNet's folders, may hold only some of them.
        faults: "stop" refuses lines without an image and a class that there is, "drop" leaves them out and warns.

    Raises:
        DataError: the list is missing or empty, or no line is left.
    """

    how_to_get = (
        "it is a text file with lines such as `ILSVRC2012_val_00000001.JPEG 65`; --data-root names the folder that "
        "holds it and the images"
    )

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        image_dir: str = ".",
        scheme: SchemeLike | None = None,
        faults: Literal["stop", "drop"] = "stop",
    ):
        path = Path(data_root) / ann_file
        level: Level = "stop" if faults == "stop" else "warning"
        findings = Findings(path)
        entries = read_list(path, level, findings)
        if not entries:
            findings.raise_stops()
            raise DataError(f"{path}: lists no images; expected lines of an image and its class")
        classes, labels, expected = label_classes(
            [entry.text for entry in entries], None if scheme is None else resolve_scheme(scheme, ClassScheme)
        )
        unknown = [entry for entry, label in zip(entries, labels, strict=True) if label < 0]
        findings.add(
            level,
            f"images whose class is not {expected}",
            [f"line {line}: {text!r} of {file}" for file, text, line in unknown],
            remedy(level, f"correct the list or the scheme{_likely_cause(unknown, classes)}"),
        )
        entries = [entry for entry, label in zip(entries, labels, strict=True) if label >= 0]
        labels = [label for label in labels if label >= 0]
        if not entries:
            findings.raise_stops()
            raise DataError(f"{path}: no image is left to use; correct the list")
        _check_repeated(entries, findings)
        folder = find_image_folder(Path(data_root), image_dir)
        files = [entry.file for entry in entries]
        super().__init__(folder=folder, files=files, labels=labels, scheme=classes, findings=findings, partial=True)


def _check_repeated(entries: list[Entry], findings: Findings) -> None:
    """Find images that are listed more than once, with one class or several."""
    classes: dict[str, list[str]] = {}
    for file, text, _ in entries:
        classes.setdefault(file, []).append(text)
    several = [f"{file}: {', '.join(dict.fromkeys(texts))}" for file, texts in classes.items() if len({*texts}) > 1]
    findings.add("warning", "images with several classes", several, "an image has one class here; choose one")
    repeated = [file for file, texts in classes.items() if len(texts) > 1 and len({*texts}) == 1]
    findings.add("warning", "images listed more than once", repeated, "they count more than once; list each once")


def _likely_cause(unknown: list[Entry], scheme: ClassScheme) -> str:
    """What may be meant by a text that is no class, as the end of a sentence."""
    texts = {entry.text for entry in unknown}
    if texts == {str(len(scheme.names))}:
        return "; do the numbers count from 1? They count from 0"
    if any("." in text and NUMERIC.fullmatch(text) for text in texts):
        return "; write whole numbers, 0 instead of 0.0"
    return suggest(next(iter(texts)), scheme.names) if texts else ""
