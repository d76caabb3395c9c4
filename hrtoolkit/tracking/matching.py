"""Pairs of two sets, one to one: the assignment problem with a gate, and what both sides of a frame are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import DataError


def match(similarities: ndarray, least: float) -> tuple[ndarray, ndarray]:
    """Pair rows with columns so that the sum of their similarities is highest (Kuhn, 1955).

    What lies under the gate counts as 0 before pairs are made, not after: a forbidden pair never takes away an allowed
    one.

    Args:
        similarities: [N, M], none below 0; NaN is none.
        least: of a pair.

    Returns:
        rows [P], ascending, and their columns [P].
    """
    allowed = (similarities >= least) & (similarities > 0)
    rows, columns = np.nonzero(allowed)
    # Most people have one candidate, who has no other: then nothing needs solving.
    if len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows):
        return rows, columns
    from scipy.optimize import linear_sum_assignment  # slow to import, and data sets import this module

    rows, columns = linear_sum_assignment(np.where(allowed, similarities, 0.0), maximize=True)
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]


def number(ids: Sequence[ndarray]) -> tuple[list[ndarray], int]:
    """The ids of a video counted from 0, a frame after another, and how many there are.

    Args:
        ids: of each frame [N].
    """
    known, places = np.unique(np.concatenate([*ids, np.zeros(0, np.int64)]), return_inverse=True)
    return np.split(places, np.cumsum([len(some) for some in ids])[:-1]) if ids else [], len(known)


def check_unique(ids: ndarray, whose: str) -> None:
    """Refuse a frame in which one id stands for two people.

    Args:
        ids: [N].
        whose: for the message.

    Raises:
        DataError: it does.
    """
    if len(ids) > 1 and len(set(ids.tolist())) < len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise DataError(
            f"{whose}: id {values[counts > 1][0]} stands for {counts.max()} people of one frame; give each its own"
        )
