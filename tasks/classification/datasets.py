"""Images with one class each: folders of classes, and lists of files (ImageNet's val_map.txt, csv)."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch.utils.data import Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS

from hrtoolkit.config.values import suggest
from hrtoolkit.data.doctor import Finding, Findings, ImageFiles
from hrtoolkit.data.loading import Draw
from hrtoolkit.data.reading import find_image_folder
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.registry import DATASETS
from hrtoolkit.visualization import make_sheet


class LabelledImages(Dataset):
    """Images and labels as flat arrays; a subclass reads one layout.

    Args:
        transform: makes the network's input, such as `ResizeCenterCrop`.
        folder: holds the images.
        files: of N images, below `folder`.
        labels: [N] class of each, from 0.
        num_classes: how many classes there are.
        class_names: of all classes, where they are known.
        findings: what is wrong with the folder or list.
    """

    def __init__(
        self,
        transform: Callable[..., np.ndarray],
        folder: Path,
        files: Sequence[str],
        labels: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None,
        findings: list[Finding],
    ):
        self.transform = transform
        self.folder = folder
        # Byte strings in one array: loader workers share it instead of touching a million Python objects.
        self.files = np.array([os.fsencode(file) for file in files])
        self.labels = np.array(labels, dtype=np.int64)
        self.num_classes = num_classes
        self.class_names = None if class_names is None else tuple(class_names)
        self.findings = findings

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: int | Draw) -> dict:
        """Read one image: as it is for an int, augmented for a `Draw`."""
        index, rng = (key.index, key.generator()) if isinstance(key, Draw) else (int(key), None)
        label = self.labels[index]
        meta = {"index": index, "image_id": os.fsdecode(self.files[index]), "label": int(label)}
        if rng is not None:
            meta["seed"] = int(rng.integers(2**32))  # for what is done to the whole batch
        return {"image": self.transform(self.read_image(index), rng), "targets": {"label": label}, "meta": meta}

    def read_image(self, index: int) -> Image.Image:
        """Read an image with PIL, as the published numbers were made, in RGB and not turned by its EXIF orientation.

        Raises:
            DataError: the file is missing, is no image, or is cut short.
        """
        path = self.folder / os.fsdecode(self.files[index])
        try:
            with Image.open(path) as image:
                image.load()
                return image if image.mode == "RGB" else image.convert("RGB")
        except FileNotFoundError:
            raise DataError(f"{path}: no such image; copy it there or correct the list") from None
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # PIL's ways to say no
            raise DataError(f"{path}: not a readable image ({error}); copy or download it again") from None

    def draw(self, predictions: list[dict]) -> np.ndarray:
        """Draw an image with its class beside the five best scores, RGB uint8 [H, W, 3].

        Args:
            predictions: of one image, with `index` and `scores`.
        """
        index, scores = predictions[0]["index"], predictions[0]["scores"]
        image = make_sheet([np.asarray(self.read_image(index))], tile_hw=(288, 320))
        panel = np.full((288, 320, 3), 24, np.uint8)
        best = np.argsort(-scores, kind="stable")[:5]
        lines = [f"truth: {self.name(self.labels[index])}", *(f"{scores[c]:.0%} {self.name(c)}" for c in best)]
        for row, text in enumerate(lines):
            cv2.putText(
                panel, text, (12, 40 + 44 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA
            )
        for row, c in enumerate(best, start=1):
            color = (60, 200, 60) if c == self.labels[index] else (220, 90, 70)
            bottom = 46 + 44 * row
            cv2.rectangle(panel, (12, bottom), (12 + int(296 * scores[c]), bottom + 6), color, -1)
        return np.hstack([image, panel])

    def draw_sample(self, sample: dict) -> np.ndarray:
        """One sample as the network gets it, RGB uint8 [h, w, 3]."""
        return sample["image"]

    def image_files(self) -> ImageFiles:
        """All images; their sizes are annotated nowhere."""
        paths = np.char.add(os.fsencode(self.folder) + b"/", self.files)
        return ImageFiles(paths, np.array([os.fsdecode(file) for file in self.files]), np.zeros((len(self), 2)))

    def truth(self) -> Iterator[dict]:
        """The labels in the form of predictions, which the metric must find perfect."""
        scores = np.eye(self.num_classes, dtype=np.float32)
        for index, (file, label) in enumerate(zip(self.files, self.labels.tolist(), strict=True)):
            yield {"index": index, "image_id": os.fsdecode(file), "label": label, "scores": scores[label]}

    def name(self, label: int) -> str:
        """What a class is called."""
        return str(label) if self.class_names is None else self.class_names[label]

    def head_arguments(self) -> dict:
        """What a head that leaves it open takes from the data."""
        return {"num_classes": self.num_classes, "class_names": self.class_names}

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {"class_names": self.class_names}


@DATASETS.register_module()
class ImageFolder(LabelledImages):
    """One folder a class, as ImageNet is unpacked; classes are numbered in the order of their sorted names.

    Args:
        transform: makes the network's input, such as `ResizeCenterCrop`.
        data_root: folder of the data set.
        image_dir: holds the class folders, below `data_root` or below `data_root/images`.
        class_names: folders that are classes, in order; None takes all.
        strict: refuse missing and empty classes; the data doctor goes on with the others.

    Raises:
        DataError: there is no class folder, or one is missing or holds no image.
    """

    how_to_get = (
        "put the images into DIR/train/CLASS/ and DIR/val/CLASS/ and say --data-root DIR; ImageNet is at "
        "https://image-net.org/download.php. Without any, `python tools/make_toy_data.py --classes` makes data for "
        "configs/classification/hrnet_toy.py"
    )

    def __init__(
        self,
        transform: Callable[..., np.ndarray],
        data_root: str,
        image_dir: str,
        class_names: Sequence[str] | None = None,
        strict: bool = True,
    ):
        folder = find_image_folder(Path(data_root), image_dir)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {self.how_to_get}")
        found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
        names = found if class_names is None else list(class_names)
        if not names:
            raise DataError(f"{folder}: holds no folders; put the images of each class into a folder of its own")
        findings = Findings(folder)
        missing = [name for name in names if name not in set(found)]
        findings.add("stop", "classes without a folder", missing, f"there are folders for {shorten(found)}")
        files, labels, others = [], [], []
        progress = {"console": Console(stderr=True), "transient": True, "disable": len(names) < 100}
        for label, name in enumerate(track(names, f"finding images in {folder}", **progress)):
            for parent, _, names_here in os.walk(folder / name, followlinks=True):
                images = [file for file in names_here if file.lower().endswith(IMG_EXTENSIONS)]
                others += [os.path.relpath(f"{parent}/{file}", folder) for file in set(names_here).difference(images)]
                files += [os.path.relpath(f"{parent}/{file}", folder) for file in images]
            labels += [label] * (len(files) - len(labels))
        counts = np.bincount(labels, minlength=len(names))
        empty = [names[label] for label in np.flatnonzero(counts == 0) if names[label] not in missing]
        endings = ", ".join(IMG_EXTENSIONS)
        findings.add("stop", "class folders without an image", empty, f"add some ({endings}) or remove the folder")
        findings.add(
            "warning", "files that are no images", sorted(others), f"they are left out; images end in {endings}"
        )
        if strict or not files:
            findings.raise_stops()
        order = np.lexsort((files, labels))
        files, labels = [files[i] for i in order], np.array(labels)[order]
        super().__init__(transform, folder, files, labels, len(names), names, findings)


@DATASETS.register_module()
class ImageList(LabelledImages):
    """A text file with an image and its class in each line, such as ImageNet's `val_map.txt`.

    Image and class are separated by a TAB, by a comma (in files that end in .csv, which may have a header that begins
    with path, image, file or filename), or by the last space. Classes are numbers from 0, or names.

    Args:
        transform: makes the network's input, such as `ResizeCenterCrop`.
        data_root: folder of the data set.
        ann_file: the list, below `data_root`.
        image_dir: what the paths in the list begin at, below `data_root` or below `data_root/images`.
        class_names: of all classes, in order; None takes the sorted names of the list, and none if it has numbers.
        num_classes: how many classes there are, if they are numbers; None goes by the highest.
        strict: refuse images of unknown classes; the data doctor goes on with the others.

    Raises:
        DataError: the list is missing, empty or malformed, or names a class that there is not.
    """

    how_to_get = (
        "it is a text file with lines such as `ILSVRC2012_val_00000001.JPEG 65`; --data-root names the folder that "
        "holds it and the images"
    )

    def __init__(
        self,
        transform: Callable[..., np.ndarray],
        data_root: str,
        ann_file: str,
        image_dir: str = ".",
        class_names: Sequence[str] | None = None,
        num_classes: int | None = None,
        strict: bool = True,
    ):
        path = Path(data_root) / ann_file
        try:
            entries = list(_read_list(path))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file") from None
        if not entries:
            raise DataError(f"{path}: lists no images; expected lines of an image and its class")
        files, classes, lines = zip(*entries, strict=True)
        if all(text.lstrip("-").isdecimal() for text in classes):
            labels = [int(text) for text in classes]
            count = len(class_names) if class_names is not None else num_classes or max(labels) + 1
            known = [0 <= label < count for label in labels]
            expected = f"a number from 0 to {count - 1}"
        else:
            class_names = sorted(set(classes)) if class_names is None else list(class_names)
            number = {name: i for i, name in enumerate(class_names)}
            labels = [number.get(name, -1) for name in classes]
            count = len(class_names)
            known = [label >= 0 for label in labels]
            expected = f"one of {shorten(class_names)}"
        findings = Findings(path)
        unknown = [i for i, is_known in enumerate(known) if not is_known]
        findings.add(
            "stop",
            f"images whose class is not {expected}",
            [f"line {lines[i]}: {classes[i]!r} of {files[i]}" for i in unknown],
            f"correct the list, or class_names{suggest(classes[unknown[0]], class_names or ()) if unknown else ''}",
        )
        repeated = [file for file, times in Counter(files).items() if times > 1]
        findings.add("warning", "images listed more than once", repeated, "they count more than once; list each once")
        if strict or not any(known):
            findings.raise_stops()
        files, labels = list(compress(files, known)), list(compress(labels, known))
        folder = find_image_folder(Path(data_root), image_dir)
        super().__init__(transform, folder, files, labels, count, class_names, findings)


def _read_list(path: Path) -> Iterator[tuple[str, str, int]]:
    """File, class and line number of each image in a list."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            rows = csv.reader(file)
            entries = ((rows.line_num, row) for row in rows)
        else:
            lines = (line.strip() for line in file)
            entries = enumerate((line.rsplit("\t" if "\t" in line else None, 1) for line in lines), start=1)
        for number, fields in entries:
            fields = [field.strip() for field in fields]
            if not any(fields) or (number == 1 and fields[0].lower() in ("path", "image", "file", "filename")):
                continue
            if len(fields) < 2 or not all(fields[:2]):
                raise DataError(f"{path}, line {number}: expected an image and its class, got {fields}")
            yield fields[0], fields[1], number
