"""Images and label maps: any two folders, or a list of pairs."""

from __future__ import annotations

import os
from itertools import compress
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import UnidentifiedImageError

from hrtoolkit.data.images import DAMAGE, open_picture, read_size
from hrtoolkit.data.paths import read_bytes
from hrtoolkit.data.reading import read_lines
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.findings import Findings
from hrtoolkit.records import LabelMap
from hrtoolkit.registry import DATASETS
from hrtoolkit.samples import BaseSamples, Images
from hrtoolkit.schemes import ClassScheme, SchemeLike, resolve_scheme

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
class SegmentationPairs(BaseSamples):
    """Images with a label PNG each, found in two folders of the same structure or through a list file.

    A label file holds one value a pixel (grey or palette PNG, up to 16 bit), which the scheme translates.

    Args:
        data_root: folder of the data set.
        scheme: "cityscapes", "ade20k" ..., or the fields of a `ClassScheme`; left out, it is that of the model.
        image_dir: folder of the images, below `data_root`; folders inside it are searched too.
        label_dir: folder of the labels, below `data_root`; None where there are none to score.
        image_suffix: how image names end; by default in anything that is an image.
        label_suffix: what replaces `image_suffix` (or the extension) in the name of the label file.
        list_file: instead of the two folders, lines of an image and a label, below `data_root`; further columns are
            not used. Columns are separated by tabs, or else by blanks.

    Raises:
        OptionError: neither folders nor a list are given, or label files cannot hold the classes.
        DataError: nothing is found, or the list is malformed.
    """

    moved = MappingProxyType({"classes": "model.head.scheme", "strict": lambda _: "leave it out"})
    how_to_get = HOW_TO_GET
    truth_files = True

    def __init__(
        self,
        *,
        data_root: str,
        scheme: SchemeLike | None = None,
        image_dir: str | None = None,
        label_dir: str | None = None,
        image_suffix: str | None = None,
        label_suffix: str = ".png",
        list_file: str | None = None,
    ):
        if (image_dir is None) == (list_file is None):
            raise OptionError("SegmentationPairs: give image_dir (and label_dir), or list_file")
        root = Path(data_root)
        self.scheme = resolve_scheme(scheme, ClassScheme)
        self.scheme.check_label_map()
        source = root / (image_dir if list_file is None else list_file)
        self.findings = Findings(source)
        if list_file is not None:
            pairs, names = _read_list(root, source, self.findings)
        else:
            label_folder = None if label_dir is None else root / label_dir
            pairs, names = _find_pairs(source, label_folder, image_suffix, label_suffix, self.findings)
        if not pairs:
            self.findings.raise_stops()
        paths = np.array([os.fsencode(image) for image, _ in pairs])
        self.images = Images(paths, np.array(names), np.zeros((len(pairs), 2)))
        self.label_paths = np.array([os.fsencode(label or "") for _, label in pairs])
        self._size = -1, (0, 0)  # of which image, and its height and width

    def read(self, sample):
        image = super().read(sample)
        self._size = sample, image.shape[:2]
        return image

    def truth(self, sample: int) -> LabelMap | None:
        """The label map of an image, or None where there is none.

        Raises:
            DataError: its file is missing, broken, has colors instead of values, values that stand for nothing, or is
                of another size than the image.
        """
        path = os.fsdecode(self.label_paths[sample])
        if not path:
            return None
        try:
            labels = self.scheme.encode(read_values(path))
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None
        image_hw = self._image_hw(sample)
        if image_hw is not None and labels.shape != image_hw:
            raise DataError(
                f"{path}: the label is {_size(labels.shape)}, its image {os.fsdecode(self.images.paths[sample])} is "
                f"{_size(image_hw)} (width x height); they must cover the same pixels"
            )
        return LabelMap(labels)

    def _image_hw(self, sample: int) -> tuple[int, int] | None:
        """Height and width of an image; those of the last one that was read are known, others stand in its file."""
        known, image_hw = self._size
        if known == sample:
            return image_hw
        size = read_size(os.fsdecode(self.images.paths[sample]))
        return None if size is None else size[::-1]  # whoever reads the image is told

    def to_learn(self, sample):
        truth = self.truth(sample)
        if truth is None:
            path = os.fsdecode(self.images.paths[sample])
            raise DataError(f"{path} has no label to train on; set the dataset's label_dir")
        return truth


def read_values(path: str | Path) -> np.ndarray:
    """Read the values of a label file, uint8 or int32 [H, W]; of a palette PNG its indices, not its colors.

    Raises:
        DataError: the file is missing, broken, lossy, of MATLAB, or holds colors.
    """
    if Path(path).suffix == ".mat":
        raise DataError(f"{path}: MATLAB label files are made into PNGs first, see tools/convert_labels.py")
    data = read_bytes(path, "label file", "; copy it there or correct the dataset's folders")
    try:
        with open_picture(data, path) as image:
            image.verify()  # checksums, which decoding ignores
        with open_picture(data, path) as image:
            kind, mode, stored_as = image.format, image.mode, image.tile[0][3]
            values = np.asarray(image)  # decodes
    except DAMAGE as error:
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
            "convert its colors to class values first"
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
    rows = [line.strip().split("\t" if "\t" in line.strip() else None) for _, line in read_lines(path)]
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


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]} x {size_hw[0]}"
