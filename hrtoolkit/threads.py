"""Work on several threads: reading files, NumPy and OpenCV let go of the interpreter meanwhile."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")
WORTHWHILE = 2**20  # elements; to hand less than that to other threads takes longer than to do it


def map_bands(function: Callable[..., Result], *arrays: np.ndarray, largest: int | None = None) -> list[Result]:
    """Apply a function to bands of arrays, cut along their first axis, on as many threads as torch uses.

    Args:
        function: gets one band of each array.
        arrays: of the same length.
        largest: elements of the first array that a band of several rows may have; None for any number.

    Returns:
        what it gave for each band, in order.
    """
    size, threads, rows = arrays[0].size, torch.get_num_threads(), len(arrays[0])
    bands = threads if size >= WORTHWHILE else 1
    if largest is not None and size:
        bands = max(bands, -(-rows // max(largest * rows // size, 1)))
    bands = min(bands, rows)
    if bands <= 1:
        return [function(*arrays)]
    (first, *others) = zip(*(np.array_split(array, bands) for array in arrays), strict=True)
    pool = _pool(os.getpid(), threads - 1)
    waiting = [pool.submit(function, *band) for band in others]
    # This thread works too: if it only waited, its core would stay idle.
    return [function(*first), *(future.result() for future in waiting)]


def in_threads(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> list[Result]:
    """Results for items, with a bar where there are many; threads will do where files are read and decoded.

    Args:
        function: of one item.
        items: any number.
        what: the bar says of them.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        outcomes = pool.map(function, items)
        return list(track(outcomes, what, total=len(items), console=Console(stderr=True), disable=len(items) < 250))


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this very process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(max(threads, 1))
