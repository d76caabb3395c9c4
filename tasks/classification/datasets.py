"""Images with one class each: folders of classes, and lists of files (ImageNet's val_map.txt, csv)."""

from __future__ import annotations

import csv
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch.utils.data import Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS

from hrtoolkit.config.values import suggest
from hrtoolkit.data.loading import Draw
from hrtoolkit.data.reading import find_image_folder
from hrtoolkit.errors import DataError
from hrtoolkit.registry import DATASETS
from hrtoolkit.visualization import make_sheet
from tasks.classification.head import shorten

log = logging.getLogger(__name__)


class LabelledImages(Dataset):
    """Images and labels as flat arrays; a subclass reads one layout.

    Args:
        transform: makes the network's input, such as `ResizeCenterCrop`.
        folder: holds the images.
        files: of N images, below `folder`.
        labels: [N] class of each, from 0.
        num_classes: how many classes there are.
        class_names: of all classes, where they are known.
    """

    def __init__(
        self,
        transform: Callable[..., np.ndarray],
        folder: Path,
        files: Sequence[str],
        labels: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None,
    ):
        self.transform = transform
        self.folder = folder
        # Byte strings in one array: loader workers share it instead of touching a million Python objects.
        self.files = np.array([os.fsencode(file) for file in files])
        self.labels = np.array(labels, dtype=np.int64)
        self.num_classes = num_classes
        self.class_names = None if class_names is None else tuple(class_names)

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
    ):
        folder = find_image_folder(Path(data_root), image_dir)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {self.how_to_get}")
        found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
        names = found if class_names is None else list(class_names)
        if not names:
            raise DataError(f"{folder}: holds no folders; put the images of each class into a folder of its own")
        if missing := [name for name in names if name not in set(found)]:
            raise DataError(f"{folder}: has no folder for {shorten(missing)}; it has {shorten(found)}")
        files, labels, others = [], [], Counter()
        progress = {"console": Console(stderr=True), "transient": True, "disable": len(names) < 100}
        for label, name in enumerate(track(names, f"finding images in {folder}", **progress)):
            for parent, _, names_here in os.walk(folder / name, followlinks=True):
                images = [file for file in names_here if file.lower().endswith(IMG_EXTENSIONS)]
                others.update(Path(file).suffix for file in set(names_here).difference(images))
                files += [os.path.relpath(f"{parent}/{file}", folder) for file in images]
            labels += [label] * (len(files) - len(labels))
        counts = np.bincount(labels, minlength=len(names))
        if empty := [names[label] for label in np.flatnonzero(counts == 0)]:
            raise DataError(
                f"{folder}: no image in the class folder {shorten(empty)}; add some (ending in "
                f"{', '.join(IMG_EXTENSIONS)}) or remove the folder"
            )
        if others:
            log.warning("%s: %d files are no images and left out: %s", folder, others.total(), dict(others))
        order = np.lexsort((files, labels))
        files, labels = [files[i] for i in order], np.array(labels)[order]
        super().__init__(transform, folder, files, labels, len(names), names)


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
            wrong = [i for i, label in enumerate(labels) if not 0 <= label < count]
            expected = f"a number from 0 to {count - 1}"
        else:
            class_names = sorted(set(classes)) if class_names is None else list(class_names)
            number = {name: i for i, name in enumerate(class_names)}
            labels = [number.get(name, -1) for name in classes]
            count = len(class_names)
            wrong = [i for i, label in enumerate(labels) if label < 0]
            expected = f"one of {shorten(class_names)}"
        if wrong:
            first = wrong[0]
            near = suggest(classes[first], class_names or ())
            raise DataError(
                f"{path}, line {lines[first]}: class {classes[first]!r} of {files[first]} should be {expected}{near} "
                f"({len(wrong)} of {len(files)} images are so)"
            )
        folder = find_image_folder(Path(data_root), image_dir)
        super().__init__(transform, folder, files, labels, count, class_names)


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
