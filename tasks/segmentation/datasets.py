"""Images and label maps: any two folders, or a list of pairs."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import compress
from pathlib import Path

import numpy as np
from hrtoolkit.tasks.segmentation.classes import IGNORED, ClassSet, resolve_classes
from hrtoolkit.tasks.segmentation.pictures import overlay_labels
from PIL import Image, UnidentifiedImageError
from torch.utils.data import Dataset

from hrtoolkit.data.doctor import Findings, ImageFiles
from hrtoolkit.data.loading import Draw
from hrtoolkit.data.reading import read_image
from hrtoolkit.errors import DataError
from hrtoolkit.registry import DATASETS

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
LABEL_MODES = ("1", "L", "P", "I;16", "I")  # of Pillow: one value a pixel
LOSSY = ("JPEG", "MPO")
SPREAD = {"L;2": 85, "L;4": 17}  # factors by which Pillow spreads grey values of few bits over a byte
HOW_TO_GET = (
    "CamVid: the SegNet tutorial's CamVid folder; Cityscapes: leftImg8bit and gtFine of "
    "https://www.cityscapes-dataset.com; PASCAL-Context and COCO-Stuff: what tools/convert_labels.py makes of the "
    "releases; LIP and ADE20K: as released. --data-root names the folder, docs/segmentation.md lists what it holds"
)


@DATASETS.register_module()
class SegmentationPairs(Dataset):
    """Images with a label PNG each, found in two folders of the same structure or through a list file.

    A label file holds one value a pixel (grey or palette PNG, up to 16 bit), which `classes` translates.

    Args:
        transform: `transform(image, label, classes, rng)`, such as `ScaleCropFlip`.
        data_root: folder of the data set.
        classes: "cityscapes", "ade20k" ... (see `SCHEMES`), or the fields of a `ClassSet`.
        image_dir: folder of the images, below `data_root`; folders inside it are searched too.
        label_dir: folder of the labels, below `data_root`; None where there are none to score.
        image_suffix: how image names end; by default in anything that is an image.
        label_suffix: what replaces `image_suffix` (or the extension) in the name of the label file.
        list_file: instead of the two folders, lines of an image and a label, below `data_root`; further columns are
            not used. Columns are separated by tabs, or else by blanks.
        strict: refuse missing files; the data doctor goes on with the others.

    Raises:
        DataError: nothing is found, labels are missing, or the list is malformed.
        ValueError: neither folders nor a list are given.
    """

    how_to_get = HOW_TO_GET

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        classes: str | dict | ClassSet,
        image_dir: str | None = None,
        label_dir: str | None = None,
        image_suffix: str | None = None,
        label_suffix: str = ".png",
        list_file: str | None = None,
        strict: bool = True,
    ):
        if (image_dir is None) == (list_file is None):
            raise ValueError("SegmentationPairs: give image_dir (and label_dir), or list_file")
        root = Path(data_root)
        self.classes = resolve_classes(classes)
        self.transform = transform
        source = root / (image_dir if list_file is None else list_file)
        self.findings = Findings(source)
        if list_file is not None:
            pairs, names = _read_list(root, source, self.findings)
        else:
            label_folder = None if label_dir is None else root / label_dir
            pairs, names = _find_pairs(source, label_folder, image_suffix, label_suffix, self.findings)
        if strict:
            self.findings.raise_stops()
        # Strings of one array: loader workers share it instead of touching many thousand Python objects.
        self.image_paths = np.array([str(image) for image, _ in pairs])
        self.label_paths = np.array([str(label or "") for _, label in pairs])
        self.image_ids = np.array(names)

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, key: int | Draw) -> dict:
        """Read one sample: for a `Draw` an augmented crop and its label map, for an int the whole image.

        A whole image brings its label map along in its own size, for the metric.
        """
        index, rng = (key.index, key.generator()) if isinstance(key, Draw) else (int(key), None)
        image, label = self._read_pair(index)
        if rng is not None and label is None:
            raise DataError(f"{self.image_paths[index]} has no label to train on; set the dataset's label_dir")
        sample = self.transform(image, label, self.classes, rng)
        meta = {"index": index, "image_id": self.image_ids[index].item()}
        if rng is not None:
            return {"image": sample["image"], "targets": {"label": sample["label"]}, "meta": meta}
        meta |= {
            "size_hw": image.shape[:2],
            "input_hw": sample["image"].shape[:2],
            "padding": sample["padding"],
            "label": label,
        }
        return {"image": sample["image"], "meta": meta}

    def read_image(self, index: int) -> np.ndarray:
        """Read an image, RGB uint8 [H, W, 3]."""
        return read_image(self.image_paths[index].item())

    def read_label(self, index: int) -> np.ndarray | None:
        """Read a label map as class indices uint8 [H, W], or None where there is none.

        Raises:
            DataError: the file is missing, broken, has colours instead of values, or values that stand for nothing.
        """
        path = self.label_paths[index].item()
        if not path:
            return None
        try:
            return self.classes.encode(read_values(path))
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None

    def check_label(self, index: int) -> None:
        """See whether a label map can be used.

        Raises:
            DataError: see `read_label`, or it is of another size than its image.
        """
        self._read_pair(index)

    def draw(self, predictions: list[dict]) -> np.ndarray:
        """Colour an image by its label map and by the prediction, RGB uint8 [H, W, 3]: truth left, prediction right.

        Args:
            predictions: one, with `index` and `labels` [H, W].
        """
        index = predictions[0]["index"]
        image, truth = self.read_image(index), self.read_label(index)
        if truth is None:
            truth = np.full(image.shape[:2], IGNORED, np.uint8)
        predicted = predictions[0]["labels"].cpu().numpy()
        return np.hstack([overlay_labels(image, labels, self.classes) for labels in (truth, predicted)])

    def draw_sample(self, sample: dict) -> np.ndarray:
        """One sample as the network gets it, RGB uint8 [h, w, 3]."""
        return sample["image"]

    def image_files(self) -> ImageFiles:
        """All images; their sizes are annotated nowhere."""
        paths = np.array([os.fsencode(path) for path in self.image_paths.tolist()])
        return ImageFiles(paths, self.image_ids, np.zeros((len(self), 2)))

    def truth(self) -> Iterator[dict]:
        """Nothing: a label map scored against itself is right wherever it has a class at all."""
        return iter(())

    def _read_pair(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        image, label = self.read_image(index), self.read_label(index)
        if label is not None and label.shape != image.shape[:2]:
            raise DataError(
                f"{self.label_paths[index]}: the label is {_size(label)}, its image {self.image_paths[index]} is "
                f"{_size(image)} (width x height); they must cover the same pixels"
            )
        return image, label

    def head_arguments(self) -> dict:
        """What a head that leaves it open takes from the data."""
        return {"classes": asdict(self.classes)}

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {"classes": self.classes}


def read_values(path: str | Path) -> np.ndarray:
    """Read the values of a label file, uint8 or int32 [H, W]; of a palette PNG its indices, not its colours.

    Raises:
        DataError: the file is missing, broken, lossy, of MATLAB, or holds colours.
    """
    if Path(path).suffix == ".mat":
        raise DataError(f"{path}: MATLAB label files are made into PNGs first, see tools/convert_labels.py")
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such label file; copy it there or correct the dataset's folders") from None
    except OSError as error:
        raise DataError(f"{path}: the label file cannot be read ({error.strerror})") from None
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()  # checksums, which decoding ignores
        with Image.open(io.BytesIO(data)) as image:
            kind, mode, stored_as = image.format, image.mode, image.tile[0][3]
            values = np.asarray(image)  # decodes
    # What Pillow raises for a broken PNG depends on where it breaks.
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        detail = "" if isinstance(error, UnidentifiedImageError) else f"; {error}"  # that names an object in memory
        raise DataError(
            f"{path}: not a readable label image, or cut short ({len(data)} bytes{detail}); copy or download it again"
        ) from None
    if kind in LOSSY:
        raise DataError(
            f"{path}: a {kind} does not keep class values as they were; make the label files PNGs from the source"
        )
    if mode not in LABEL_MODES:
        raise DataError(
            f"{path}: a label file holds one class value a pixel (grey or palette PNG), but this one is {mode}; "
            "convert its colours to class values first"
        )
    if stored_as in SPREAD:
        values = values // SPREAD[stored_as]
    if values.dtype == bool:
        values = values.astype(np.uint8)
    return values if values.dtype == np.uint8 else values.astype(np.int32)


def _find_pairs(
    image_folder: Path, label_folder: Path | None, image_suffix: str | None, label_suffix: str, findings: Findings
) -> tuple[list[tuple[Path, Path | None]], list[str]]:
    files = sorted(image_folder.rglob("*"))
    if image_suffix is not None:
        images = [path for path in files if path.name.endswith(image_suffix)]
    else:
        images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise DataError(f"{image_folder}: no image whose name ends in {image_suffix or ' or '.join(IMAGE_SUFFIXES)}")
    stems = [path.relative_to(image_folder).as_posix().removesuffix(image_suffix or path.suffix) for path in images]
    if label_folder is None:
        return [(image, None) for image in images], stems
    pairs = [(image, label_folder / f"{stem}{label_suffix}") for image, stem in zip(images, stems, strict=True)]
    # In a folder that holds both, labels look like images that are their own labels.
    own = [image != label for image, label in pairs]
    pairs, stems = list(compress(pairs, own)), list(compress(stems, own))
    labels = [label for _, label in pairs]
    found = set(label_folder.rglob(f"*{label_suffix}"))
    unused = sorted(str(path) for path in found - set(labels))
    findings.add("warning", "labels without an image", unused, "they are not used; were images left out?")
    return _keep_present(pairs, stems, [label in found for label in labels], 1, findings)


def _read_list(root: Path, path: Path, findings: Findings) -> tuple[list[tuple[Path, Path | None]], list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: no such list of images and labels") from None
    rows = [line.strip().split("\t" if "\t" in line.strip() else None) for line in lines if line.strip()]
    if not rows:
        raise DataError(f"{path}: the list is empty; expected lines of an image and a label")
    columns = {min(len(row), 2) for row in rows}
    if len(columns) > 1:
        odd = next(row for row in rows if len(row) == 1)
        raise DataError(f"{path}: some lines have an image and a label, but {odd[0]!r} stands alone")
    pairs = [(root / row[0].strip(), root / row[1].strip() if len(row) > 1 else None) for row in rows]
    names = [str(Path(row[0].strip()).with_suffix("")) for row in rows]
    for column in (0, 1):
        present = [pair[column] is None or pair[column].is_file() for pair in pairs]
        pairs, names = _keep_present(pairs, names, present, column, findings)
    return pairs, names


def _keep_present(
    pairs: list[tuple[Path, Path | None]], names: list[str], present: list[bool], column: int, findings: Findings
) -> tuple[list[tuple[Path, Path | None]], list[str]]:
    """The pairs whose files of a column (0 images, 1 labels) are there; the others are found missing."""
    missing = [str(pair[column]) for pair, there in zip(pairs, present, strict=True) if not there]
    what = f"{('images', 'labels')[column]} that are not there"
    findings.add("stop", what, missing, "copy them there or correct the dataset")
    return list(compress(pairs, present)), list(compress(names, present))


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
