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
    missing = np.isnan(pairs_there)
    seen = ~(missing[..., 0] | missing[..., 1])
    exchanged: ndarray = np.zeros(seen.shape, dtype=bool)
    if exchanged.size == 0:
        return exchanged
    extents = np.fmax.reduce(points, axis=-2) - np.fmin.reduce(points, axis=-2)  # [T, ..., 2]
    apart = np.abs(pairs_there[..., 0] - pairs_there[..., 1]) > APART * np.hypot(extents[..., :1], extents[..., 1:])
    unknown = np.full((2, *pairs_there.shape[1:]), np.nan, np.complex128)
    earlier, before, _ = (np.concatenate([unknown, pairs_there])[start:][: len(points)] for start in range(3))
    # Few are ever exchanged. What is one depends on those before it, so that the few are looked at frame by frame.
    doubtful = _cross(pairs_there, before, earlier, apart).any(axis=0)  # [..., P]
    few, found = pairs_there[:, doubtful], exchanged[:, doubtful]
    before = earlier = unknown[0][doubtful]
    for frame, now in enumerate(few if few.size else ()):
        found[frame] = _cross(now, before, earlier, apart[frame, doubtful])
        before, earlier = np.where(found[frame, :, None], now[:, ::-1], now), before
    exchanged[:, doubtful] = found
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


def _cross(now: ndarray, before: ndarray, earlier: ndarray, apart: ndarray) -> ndarray:
    """Whether both sides of pairs [..., P, 2], as complex numbers, are where the other one is expected: bool [..., P].

    Never where one is not seen, which is NaN.

    Args:
        now: a frame.
        before: the frame before it.
        earlier: the frame before that.
        apart: [..., P], whether sides are far enough from each other to be told.
    """
    expected = np.where(np.isnan(earlier), before, 2 * before - earlier)
    far, other_far = np.abs(now - expected), np.abs(now[..., ::-1] - expected)
    as_is, otherwise = far[..., 0] + far[..., 1], other_far[..., 0] + other_far[..., 1]
    return np.asarray(apart & (otherwise < BETTER * as_is))


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
