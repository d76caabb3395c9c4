"""The file formats of face releases, with errors that name file and line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy import ndarray
from rich.console import Console
from rich.progress import track

from hrtoolkit.data.coco import FAULTS, Faults
from hrtoolkit.data.images import read_size
from hrtoolkit.errors import DataError, UserError
from hrtoolkit.findings import Findings

if TYPE_CHECKING:
    import h5py

Item = TypeVar("Item")
Annotation = TypeVar("Annotation")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")


def read_each(
    read: Callable[[Item], Annotation], items: Iterable[Item], findings: Findings, broken: Faults = "stop"
) -> tuple[list[Item], list[Annotation]]:
    """Read annotations one by one; all that cannot be read are one finding.

    Args:
        read: reads one.
        items: what is read.
        findings: is told.
        broken: whether those that cannot be read stop training.

    Returns:
        the items that could be read, and what was read.

    Raises:
        DataError: none could.
    """
    sound, values, faults = [], [], []
    for item in items:
        try:
            values.append(read(item))
            sound.append(item)
        except DataError as error:
            faults.append(str(error))
    findings.add(FAULTS[broken][0], "annotations that cannot be read", faults, FAULTS[broken][1])
    if not sound:
        findings.raise_stops()
        raise DataError(f"{findings.where}: holds no faces{' that can be read: ' + faults[0] if faults else ''}")
    return sound, values


def find_image_beside(path: Path) -> Path:
    """The image of the same name.

    Raises:
        DataError: there is none.
    """
    for ending in (*IMAGE_ENDINGS, *(ending.upper() for ending in IMAGE_ENDINGS)):
        if (image := path.with_suffix(ending)).is_file():
            return image
    raise DataError(f"{path}: there is no image of this name beside it ({', '.join(IMAGE_ENDINGS)})")


def read_image_sizes(images: Sequence[Path]) -> ndarray:
    """Width and height [N, 2] of images, from the first bytes of their files; 0 where one cannot be read."""
    sizes = {}
    unique = list(dict.fromkeys(images))
    for path in track(unique, "image sizes", console=Console(stderr=True), disable=len(unique) < 2000):
        sizes[path] = read_size(path) or (0, 0)  # missing, or no image: whoever reads it will say so
    return np.array([sizes[path] for path in images])


class CofwFile:
    """Images and keypoints of COFW in a MATLAB file of version 7.3, which is HDF5.

    Args:
        path: of the file.

    Raises:
        DataError: it is missing, is not HDF5, or lacks a variable.
        UserError: h5py is not installed.
    """

    def __init__(self, path: Path):
        self.path = path
        self._opened: tuple[int, Any] = (-1, None)  # by which process: HDF5 files survive no fork
        content = self._open()
        suffix = next((s for s in ("Tr", "T") if f"phis{s}" in content and f"Is{s}" in content), None)
        if suffix is None:
            raise DataError(
                f"{path}: holds {', '.join(content)}, expected images and landmarks as IsTr and phisTr (training) or "
                "IsT and phisT (test); take the color files of the release"
            )
        self.images, self.points = f"Is{suffix}", f"phis{suffix}"

    def keypoints(self, count: int) -> ndarray:
        """Keypoints [N, count, 2] (x, y) as the file has them.

        Raises:
            DataError: there are others.
        """
        content = self._open()
        rows = np.asarray(content[self.points], np.float64).T  # MATLAB stores columns first
        number = content[self.images].size
        if rows.shape != (number, 3 * count):
            raise DataError(
                f"{self.path}: {self.points} is {list(rows.shape)}, expected [{number}, {3 * count}]: x, y and "
                f"occlusion of {count} landmarks in each of the {number} images of {self.images}"
            )
        return rows[:, : 2 * count].reshape(number, 2, count).swapaxes(1, 2)

    def size(self, image: int) -> tuple[int, int]:
        """Width and height of an image."""
        width, height = self._pixels(image).shape[-2:]  # HDF5 has them [3, W, H]
        return width, height

    def read(self, image: int) -> ndarray:
        """An image, RGB uint8 [H, W, 3].

        Raises:
            DataError: it cannot be read.
        """
        try:
            pixels = np.asarray(self._pixels(image)).T  # [H, W, 3] or [H, W]
        except OSError as error:
            raise DataError(f"{self.path}, image {image + 1}: damaged ({error}); copy or download the file") from None
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        return np.ascontiguousarray(pixels)

    def _pixels(self, image: int) -> h5py.Dataset:
        """An image in the file, uint8 [3, W, H] or [W, H]; nothing is read yet.

        Raises:
            DataError: there is something else in its place.
        """
        content = self._open()
        try:
            references = content[self.images]
            pixels = content[references[np.unravel_index(image, references.shape)]]
            shape, dtype = pixels.shape, pixels.dtype
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise DataError(f"{self.path}, image {image + 1}: cannot be found ({error})") from None
        if dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[0] == 3)):
            raise DataError(
                f"{self.path}, image {image + 1}: is {dtype} {list(shape)}, expected uint8 [3, W, H] or [W, H]"
            )
        return pixels

    def _open(self) -> h5py.File:
        """The file, opened by this very process."""
        if self._opened[0] != os.getpid():
            _check_hdf5(self.path)
            try:
                import h5py
            except ImportError:
                raise UserError(
                    f"{self.path}: MATLAB files of version 7.3 are read by h5py, which is not installed: pip install "
                    "h5py (or 'hrtoolkit[cofw]')"
                ) from None
            try:
                self._opened = os.getpid(), h5py.File(self.path, "r")
            except OSError as error:
                raise DataError(f"{self.path}: damaged ({error}); copy or download it again") from None
        return self._opened[1]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_opened": (-1, None)}


def _check_hdf5(path: Path) -> None:
    """Refuse a file that is not HDF5, as MATLAB writes it since version 7.3.

    Raises:
        DataError: it is missing, or begins otherwise.
    """
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    # MATLAB puts 512 bytes of its own before the signature.
    if not any(start[offset:].startswith(b"\x89HDF\r\n\x1a\n") for offset in (0, 512)):
        raise DataError(
            f"{path}: not HDF5, which MATLAB files of version 7.3 are (it begins with {start[:16]!r}); take the color "
            "files of COFW's release as they are"
        )
