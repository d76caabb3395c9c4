"""Images and label maps: any two folders, or a list of pairs."""

from __future__ import annotations

import os
from types import MappingProxyType

import numpy as np

from hrtoolkit.data.pairs import Faults, LabelledImages
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Finding
from hrtoolkit.records import LabelMap
from hrtoolkit.registry import DATASETS
from hrtoolkit.schemes import IGNORED, ClassScheme, SchemeLike, resolve_scheme
from hrtoolkit.tasks.segmentation.checks import Look, check_label_files, find_values
from hrtoolkit.tasks.segmentation.reading import read_label_file

HOW_TO_GET = (
    "CamVid: the SegNet tutorial's CamVid folder; Cityscapes: leftImg8bit and gtFine of "
    "https://www.cityscapes-dataset.com; PASCAL-Context and COCO-Stuff: what tools/convert_labels.py makes of the "
    "releases; LIP and ADE20K: as released. --data-root names the folder, docs/segmentation.md lists what it holds"
)


@DATASETS.register_module()
class SegmentationPairs(LabelledImages):
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
        faults: "stop" refuses images or labels that are not there, "drop" leaves them out and warns.

    Raises:
        OptionError: neither folders nor a list are given, or label files cannot hold the classes.
        DataError: nothing is found, or the list is malformed.
    """

    moved = MappingProxyType({"classes": "model.head.scheme", "strict": lambda _: "leave it out"})
    scheme: ClassScheme
    how_to_get = HOW_TO_GET

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
        faults: Faults = "stop",
    ):
        self.scheme = resolve_scheme(scheme, ClassScheme)
        self.scheme.check_label_map()
        super().__init__(
            data_root=data_root,
            image_dir=image_dir,
            label_dir=label_dir,
            image_suffix=image_suffix,
            label_suffix=label_suffix,
            list_file=list_file,
            faults=faults,
        )

    def truth(self, sample: int) -> LabelMap | None:
        """The label map of an image, or None where there is none.

        Raises:
            DataError: its file is missing, broken, has colors instead of values, values that stand for nothing, or is
                of another size than the image.
        """
        path = os.fsdecode(self.label_paths[sample])
        if not path:
            return None
        values = read_label_file(path).values
        labels = self._encode(values, path)
        self.check_size(sample, labels.shape)
        return LabelMap(labels)

    def look(self, sample: int) -> Look:
        """What there is to see of a label file without making a label map of it.

        Args:
            sample: position of one that has a label file.
        """
        path, values, palette = os.fsdecode(self.label_paths[sample]), np.zeros(0, np.uint8), None
        try:
            label_map, palette = read_label_file(path)
            values = find_values(label_map)
            classes = self._encode(values[None], path)
            self.check_size(sample, label_map.shape)
        except DataError as error:
            return Look(path, values, frozenset(), palette, str(error))
        return Look(path, values, frozenset(classes.ravel().tolist()) - {IGNORED}, palette, "")

    def _encode(self, values: np.ndarray, path: str) -> np.ndarray:
        try:
            return self.scheme.encode(values)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None

    def check_labels(self, name: str, whole: bool) -> list[Finding]:
        labelled = np.flatnonzero(self.label_paths != b"")
        return check_label_files(self.look, labelled, self.scheme, name, whole)
