"""Landmarks in .pts files, as 300W has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from hrtoolkit.data.reading import read_lines
from hrtoolkit.errors import DataError


def read_pts(path: str | Path, count: int | None = None) -> ndarray:
    """Read the landmarks of a .pts file, [count, 2] as the file has them (300W counts pixels from 1).

    Args:
        path: of the file.
        count: how many there should be; None takes what the file says.

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
            if count is not None or not value.strip().isdecimal():
                raise DataError(f"{path}, line {number}: {value.strip()} landmarks, expected {count or 'a number'}")
            count = int(value)
    points = []
    for number, line in lines[opening + 1 : closing]:
        if len(row := line.split()) != 2:
            raise DataError(f"{path}, line {number}: expected x and y of a landmark, got {line.strip()!r}")
        points.append(to_numbers(row, f"{path}, line {number}"))
    if count is not None and len(points) != count:
        raise DataError(
            f"{path}, line {lines[closing][0]}: the braces end after {len(points)} landmarks, expected {count}"
        )
    return np.reshape(points, (-1, 2))


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
