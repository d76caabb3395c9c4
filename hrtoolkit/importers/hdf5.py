"""HDF5 files of annotation tools, read by h5py; what they hold as pickled objects stays closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hrtoolkit.errors import DataError, UserError


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file to read it.

    Raises:
        DataError: it is damaged, or does not hold what its format has.
        UserError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"{path}: HDF5 files need h5py ({error}): pip install 'hrtoolkit[imports]', or h5py") from None
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
        raise DataError(f"{path}: it cannot be read as the format has it ({error}); export it again") from None


def texts(values: Any) -> list[str]:
    """Texts of a data set."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
