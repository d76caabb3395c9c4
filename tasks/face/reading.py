"""The file formats of face releases, with errors that name file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from hrtoolkit.data.doctor import Findings
from hrtoolkit.data.reading import read_lines
from hrtoolkit.errors import DataError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")


def read_pts(path: str | Path, count: int) -> np.ndarray:
    """Read the landmarks of a .pts file, [count, 2] as the file has them (300W counts pixels from 1).

    Raises:
        DataError: with file and line, where the file is not `n_points: count` and as many lines of x and y in braces.
    """
    lines = read_lines(Path(path))
    texts = [line.strip() for _, line in lines]
    if "{" not in texts or "}" not in texts:
        raise DataError(f"{path}: no landmarks in braces; expected a .pts file of 300W")
    opening, closing = texts.index("{"), texts.index("}")
    for number, line in lines[:opening]:
        key, _, value = line.partition(":")
        if key.strip() == "n_points" and value.strip() != str(count):
            raise DataError(f"{path}, line {number}: {value.strip()} landmarks, expected {count}")
    points = []
    for number, line in lines[opening + 1 : closing]:
        if len(row := line.split()) != 2:
            raise DataError(f"{path}, line {number}: expected x and y of a landmark, got {line.strip()!r}")
        points.append(to_numbers(row, f"{path}, line {number}"))
    if len(points) != count:
        raise DataError(
            f"{path}, line {lines[closing][0]}: the braces end after {len(points)} landmarks, expected {count}"
        )
    return np.array(points)


def read_each(read: Callable[[Any], Any], items: Iterable, findings: Findings) -> tuple[list, list]:
    """Read annotations one by one; all that cannot be read are one finding.

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
    findings.add("stop", "annotations that cannot be read", faults, "correct or remove them")
    if not sound:
        findings.raise_stops()
        raise DataError(f"{findings.where}: holds no faces")
    return sound, values


def to_numbers(texts: Sequence[str], where: str) -> list[float]:
    """Read finite numbers; `where` is what errors call the place.

    Raises:
        DataError: a text is no number, or is not finite.
    """
    try:
        numbers = [float(text) for text in texts]
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"{where}: a coordinate is not finite")
    return numbers


def find_image_beside(path: Path) -> Path:
    """The image of the same name.

    Raises:
        DataError: there is none.
    """
    for ending in (*IMAGE_ENDINGS, *(ending.upper() for ending in IMAGE_ENDINGS)):
        if (image := path.with_suffix(ending)).is_file():
            return image
    raise DataError(f"{path}: there is no image of this name beside it ({', '.join(IMAGE_ENDINGS)})")


def read_image_sizes(images: Sequence[Path]) -> np.ndarray:
    """Width and height [N, 2] of images, from the first bytes of their files; 0 where one cannot be read."""
    sizes = {}
    unique = list(dict.fromkeys(images))
    for path in track(unique, "image sizes", console=Console(stderr=True), disable=len(unique) < 2000):
        try:
            with Image.open(path) as image:
                sizes[path] = image.size
        except (OSError, Image.DecompressionBombError):  # not there, or no image: who needs it says so
            sizes[path] = (0, 0)
    return np.array([sizes[path] for path in images])


def check_hdf5(path: Path) -> None:
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
