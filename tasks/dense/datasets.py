"""Images and maps of numbers: any two folders, or a list of pairs."""

from __future__ import annotations

import os

import numpy as np
from numpy import ndarray

from hrtoolkit.data.pairs import Faults, LabelledImages
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Finding
from hrtoolkit.ranges import Positive
from hrtoolkit.records import ValueMap
from hrtoolkit.registry import DATASETS
from hrtoolkit.schemes import SchemeLike, ValueScheme, resolve_scheme
from hrtoolkit.tasks.dense.checks import check_value_files
from hrtoolkit.tasks.dense.reading import channel_axis, read_value_file, read_value_size

LENGTHS = (0.9, 1.1)  # that unit vectors may have in a file, which rounds them
LOOKED_AT = 1000  # of the vectors of a file, spread over it


@DATASETS.register_module()
class ValuePairs(LabelledImages):
    """Images with a map of numbers each, found in two folders of the same structure or through a list file.

    A map is NumPy's .npy, [H, W], [H, W, C] or [C, H, W] of the C values of the scheme, or a PNG of 8 or 16 bit, grey
    or RGB. Nothing is known of a pixel where one of its numbers is NaN or infinite, where all are 0 in a PNG, where a
    "positive" value is not above 0, and where a "unit_vector" is 0 throughout. Unit vectors get the length 1, which
    rounding took from them.

    Args:
        data_root: folder of the data set.
        scheme: "depth", "normals", names, or the fields of a `ValueScheme`; left out, it is that of the model.
        image_dir: folder of the images, below `data_root`; folders inside it are searched too.
        label_dir: folder of the maps, below `data_root`; None where there are none to score.
        image_suffix: how image names end; by default in anything that is an image.
        label_suffix: what replaces `image_suffix` (or the extension) in the name of the map.
        list_file: instead of the two folders, lines of an image and a map, below `data_root`; further columns are not
            used. Columns are separated by tabs, or else by blanks.
        scale: what stored numbers are multiplied by, such as 0.001 for depth in millimetres. PNGs need it.
        offset: what is added then: -1 for normals that are stored as (v + 1) / 2.
        faults: "stop" refuses images or maps that are not there, "drop" leaves them out and warns.

    Raises:
        OptionError: neither folders nor a list are given.
        DataError: nothing is found, or the list is malformed.
    """

    scheme: ValueScheme

    def __init__(
        self,
        *,
        data_root: str,
        scheme: SchemeLike | None = None,
        image_dir: str | None = None,
        label_dir: str | None = None,
        image_suffix: str | None = None,
        label_suffix: str = ".npy",
        list_file: str | None = None,
        scale: Positive | None = None,
        offset: float = 0.0,
        faults: Faults = "stop",
    ):
        self.scheme = resolve_scheme(scheme, ValueScheme)
        self.scale, self.offset = scale, offset
        super().__init__(
            data_root=data_root,
            image_dir=image_dir,
            label_dir=label_dir,
            image_suffix=image_suffix,
            label_suffix=label_suffix,
            list_file=list_file,
            faults=faults,
        )

    def label_size(self, path: str) -> tuple[int, int] | None:
        return read_value_size(path, len(self.scheme.names))

    def truth(self, sample: int) -> ValueMap | None:
        """The numbers of an image, or None where there are none.

        Raises:
            DataError: their file is missing, broken, has another number of values a pixel, is of another size than the
                image, or has vectors that are far from unit ones.
        """
        path = os.fsdecode(self.label_paths[sample])
        if not path:
            return None
        stored, steps = read_value_file(path)
        if steps and self.scale is None:
            raise DataError(
                f"{path}: nobody says what a step of a PNG is worth; set the dataset's scale (0.001 for depth in "
                "millimetres), and for normals of 8 bit scale=2/255 and offset=-1"
            )
        axis = channel_axis(stored.shape, len(self.scheme.names), path)
        planes = np.ascontiguousarray(np.moveaxis(np.atleast_3d(stored), axis, 0))  # [C, H, W]
        self.check_size(sample, planes.shape[1:])
        # In double precision: 3000 mm are 3 m, and not 3.0000002. The few steps of a PNG are looked up.
        numbers = np.arange(np.iinfo(planes.dtype).max + 1) if steps else planes
        if self.scale is not None or self.offset:
            numbers = numbers.astype(np.float64) * (1 if self.scale is None else self.scale) + self.offset
        values = numbers.astype(np.float32)
        if steps:
            values, unknown = values[planes], ~planes.any(axis=0)
        else:
            unknown = ~np.isfinite(values).all(axis=0)
        if self.scheme.values == "positive":
            unknown |= ~(values > 0).all(axis=0)
        elif self.scheme.values == "unit_vector":
            lengths = np.sqrt(np.einsum("chw,chw->hw", values, values))
            unknown |= lengths == 0
            _check_lengths(lengths[~unknown], path)
            values /= np.where(lengths > 0, lengths, 1)
        values[:, unknown] = np.nan
        return ValueMap(values)

    def check_labels(self, name: str, whole: bool) -> list[Finding]:
        labelled = np.flatnonzero(self.label_paths != b"")
        return check_value_files(self, labelled, self.label_paths, self.scheme, name, whole)


def _check_lengths(lengths: ndarray, path: str) -> None:
    """Refuse vectors that rounding alone does not keep from the length 1."""
    if not lengths.size:
        return
    middle = float(np.median(lengths[:: -(-lengths.size // LOOKED_AT)]))
    if not LENGTHS[0] <= middle <= LENGTHS[1]:
        raise DataError(
            f"{path}: half of the vectors are longer than {middle:.3g}, and unit vectors have the length 1; set the "
            "dataset's scale and offset (2/255 and -1 for PNGs of 8 bit), or store them with that length"
        )
