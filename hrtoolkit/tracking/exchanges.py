"""Left and right that a network exchanged: found where keypoints go on better the other way round, and put right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from hrtoolkit.ranges import Count

BETTER = 0.5  # of the distances that are left after an exchange: fewer is a proof
APART = 0.04  # of a person's extent: where two sides are nearer, nobody can tell them apart


def find_exchanges(points: ndarray, pairs: Sequence[tuple[int, int]], least: Count = 2, known: int = 0) -> ndarray:
    """In which frames each pair of people's keypoints is exchanged.

    A pair is compared with where the last two frames say it should be, as it is and exchanged. In a run of frames in
    which both are seen, what most frames agree on is right.

    Args:
        points: [T, ..., K, 2], a row a frame, NaN where not seen.
        pairs: left and right keypoints, P pairs of places.
        least: frames running that are an exchange; fewer are left as they are.
        known: so many frames at the beginning are right already, and so is what goes on from them.

    Returns:
        bool [T, ..., P].
    """
    points = np.asarray(points, np.float64)
    places = points[..., 0] + 1j * points[..., 1]  # as complex numbers, which are fast to compare
    pairs_there = places[..., np.asarray(pairs, np.int64).reshape(-1, 2)]  # [T, ..., P, 2]
    seen = np.asarray(~np.isnan(pairs_there).any(axis=-1))
    exchanged: ndarray = np.zeros(seen.shape, dtype=bool)
    if exchanged.size == 0:
        return exchanged
    extents = np.fmax.reduce(points, axis=-2) - np.fmin.reduce(points, axis=-2)  # [T, ..., 2]
    apart = np.abs(pairs_there[..., 0] - pairs_there[..., 1]) > APART * np.hypot(extents[..., :1], extents[..., 1:])
    before = np.full(pairs_there.shape[1:], np.nan, np.complex128)
    earlier = before
    for frame, now in enumerate(pairs_there):
        expected = np.where(np.isnan(earlier), before, 2 * before - earlier)
        other = now[..., ::-1]
        as_is, otherwise = (np.abs(some - expected).sum(axis=-1) for some in (now, other))
        exchanged[frame] = apart[frame] & (otherwise < BETTER * as_is)  # never where one is not seen: NaN
        before, earlier = np.where(exchanged[frame, ..., None], other, now), before
    shape = seen.shape
    seen, exchanged = seen.reshape(len(points), -1), exchanged.reshape(len(points), -1)
    runs = _number_runs(seen)
    sizes, counts = (np.bincount(runs.ravel(), weights=some.ravel()) for some in (seen, exchanged))
    wrong = 2 * counts > sizes
    wrong[runs[:known][seen[:known]]] = False
    exchanged ^= seen & wrong[runs]
    spells = _number_runs(exchanged)
    lengths = np.bincount(spells.ravel(), weights=exchanged.ravel())
    return (exchanged & (lengths >= least)[spells]).reshape(shape)


def put_right(values: ndarray, exchanged: ndarray, pairs: Sequence[tuple[int, int]]) -> ndarray:
    """Points [T, K, 2], or scores [T, K], with the pairs [T, P] that are exchanged changed back."""
    right = np.array(values)
    for column, (left, other) in enumerate(pairs):
        rows = exchanged[:, column]
        right[rows, left], right[rows, other] = values[rows, other], values[rows, left]
    return right


def _number_runs(flags: ndarray) -> ndarray:
    """A number for each run of equal flags in each column [T, P]; no two columns share one."""
    changes = np.ones(flags.shape, np.int64)
    changes[1:] = flags[1:] != flags[:-1]
    return np.cumsum(changes.T.ravel()).reshape(flags.T.shape).T
