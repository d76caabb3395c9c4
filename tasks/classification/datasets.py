"""Images with one class each: folders of classes, and lists of files (ImageNet's val_map.txt, csv)."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path
from types import MappingProxyType

import numpy as np
from rich.console import Console
from rich.progress import track
from torchvision.datasets.folder import IMG_EXTENSIONS

from hrtoolkit.data.reading import find_image_folder, read_lines
from hrtoolkit.errors import DataError, shorten, suggest
from hrtoolkit.findings import Findings
from hrtoolkit.records import Category
from hrtoolkit.registry import DATASETS
from hrtoolkit.samples import BaseSamples, Images
from hrtoolkit.schemes import ClassScheme, SchemeLike, resolve_scheme


class LabelledImages(BaseSamples):
    """Images and labels as flat arrays; a subclass reads one layout.

    Args:
        folder: holds the images.
        files: of N images, below `folder`.
        labels: [N] class of each, from 0.
        scheme: the classes.
        findings: what is wrong with the folder or list.
    """

    moved = MappingProxyType(
        {
            "class_names": "model.head.scheme",
            "num_classes": "model.head.scheme",
            "strict": lambda _: "leave it out",
        }
    )

    def __init__(
        self, *, folder: Path, files: Sequence[str], labels: Sequence[int], scheme: ClassScheme, findings: Findings
    ):
        paths = np.array([os.fsencode(folder / file) for file in files])
        self.images = Images(paths, np.array(files), np.zeros((len(files), 2)))
        self.labels = np.array(labels, dtype=np.int64)
        self.scheme = scheme
        self.findings = findings

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
        found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
        if not found:
            raise DataError(f"{folder}: holds no folders; put the images of each class into a folder of its own")
        scheme = resolve_scheme(found if scheme is None else scheme, ClassScheme)
        if scheme.numbered:  # the folders have names
            scheme = ClassScheme(found)
        findings = Findings(folder)
        missing = [name for name in scheme.names if name not in set(found)]
        findings.add("stop", "classes without a folder", missing, f"there are folders for {shorten(found)}")
        spare = [name for name in found if name not in set(scheme.names)]
        findings.add("warning", "folders that are no class", spare, "their images are left out")
        files, labels = _find_images(folder, scheme.names, missing, findings)
        if not files:
            findings.raise_stops()
        super().__init__(folder=folder, files=files, labels=labels, scheme=scheme, findings=findings)


def _find_images(
    folder: Path, names: Sequence[str], missing: Sequence[str], findings: Findings
) -> tuple[list[str], list[int]]:
    """The images of all classes, below their folder, and their labels; sorted."""
    entries, others = [], []
    progress = {"console": Console(stderr=True), "transient": True, "disable": len(names) < 100}
    for label, name in enumerate(track(names, f"finding images in {folder}", **progress)):
        for parent, _, names_here in os.walk(folder / name, followlinks=True):
            for file in names_here:
                path = os.path.relpath(f"{parent}/{file}", folder)
                if file.lower().endswith(IMG_EXTENSIONS):
                    entries.append((label, path))
                else:
                    others.append(path)
    entries.sort()
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

    Image and class are separated by a TAB, by a comma (in files that end in .csv, which may have a header that begins
    with path, image, file or filename), or by the last space. Classes are numbers from 0, or names.

    Args:
        data_root: folder of the data set.
        ann_file: the list, below `data_root`.
        image_dir: what the paths in the list begin at, below `data_root` or below `data_root/images`.
        scheme: the classes, or their number; left out, those of the model, or the sorted names of the list. A list of
            numbers may hold only some of them.

    Raises:
        DataError: the list is missing, empty or malformed, or names no class that there is.
    """

    how_to_get = (
        "it is a text file with lines such as `ILSVRC2012_val_00000001.JPEG 65`; --data-root names the folder that "
        "holds it and the images"
    )

    def __init__(self, *, data_root: str, ann_file: str, image_dir: str = ".", scheme: SchemeLike | None = None):
        path = Path(data_root) / ann_file
        entries = list(_read_list(path))
        if not entries:
            raise DataError(f"{path}: lists no images; expected lines of an image and its class")
        files, classes, lines = zip(*entries, strict=True)
        scheme = None if scheme is None else resolve_scheme(scheme, ClassScheme)
        if all(text.lstrip("-").isdecimal() for text in classes):
            labels = [int(text) for text in classes]
            scheme = scheme or resolve_scheme(max(*labels, 0) + 1, ClassScheme)
            expected = f"a number from 0 to {len(scheme.names) - 1}"
        else:
            if scheme is None or scheme.numbered:
                scheme = ClassScheme(sorted(set(classes)))
            number = {name: i for i, name in enumerate(scheme.names)}
            labels = [number.get(name, -1) for name in classes]
            expected = f"one of {shorten(scheme.names)}"
        known = [0 <= label < len(scheme.names) for label in labels]
        findings = Findings(path)
        unknown = [i for i, is_known in enumerate(known) if not is_known]
        findings.add(
            "stop",
            f"images whose class is not {expected}",
            [f"line {lines[i]}: {classes[i]!r} of {files[i]}" for i in unknown],
            f"correct the list, or the scheme{suggest(classes[unknown[0]], scheme.names) if unknown else ''}",
        )
        repeated = [file for file, times in Counter(files).items() if times > 1]
        findings.add("warning", "images listed more than once", repeated, "they count more than once; list each once")
        if not any(known):
            findings.raise_stops()
        files, labels = list(compress(files, known)), list(compress(labels, known))
        folder = find_image_folder(Path(data_root), image_dir)
        super().__init__(folder=folder, files=files, labels=labels, scheme=scheme, findings=findings)


def _read_list(path: Path) -> Iterator[tuple[str, str, int]]:
    """File, class and line number of each image in a list."""
    lines = read_lines(path)
    rows = (line.strip().rsplit("\t" if "\t" in line.strip() else None, 1) for _, line in lines)
    if path.suffix == ".csv":
        rows = csv.reader(line for _, line in lines)
    for (number, _), row in zip(lines, rows, strict=False):  # a field of several lines is no name of a file
        fields = [field.strip() for field in row]
        if not any(fields) or (number == 1 and fields[0].lower() in ("path", "image", "file", "filename")):
            continue
        if len(fields) < 2 or not all(fields[:2]):
            raise DataError(f"{path}, line {number}: expected an image and its class, got {fields}")
        yield fields[0], fields[1], number
