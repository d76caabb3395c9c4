"""Calmer keypoints: the One-Euro filter frame by frame, and Savitzky-Golay where all frames are at hand.

Both weigh a keypoint by the square of its score, so that a wrong one hardly moves those around it, and neither smooths
over a gap: a keypoint that was not seen in the frame before begins afresh. What is given stays as it is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.ranges import Count, NotNegative, Positive
from hrtoolkit.tracking.oks_tracker import SURE

AT_ONCE = 256  # frames that are fitted together


class _Memory(NamedTuple):
    """What the One-Euro filter keeps of N people of the last frame."""

    ids: ndarray  # [N], ascending
    points: ndarray  # [N, K, 2] smoothed
    speeds: ndarray  # [N, K, 2] smoothed, heights a second; NaN where not seen


class OneEuroFilter:
    """The One-Euro filter (Casiez et al., CHI 2012): the slower a keypoint is, the more it is smoothed.

    Speeds are in heights of the person, so that neither the resolution nor the distance matters.

    Args:
        min_cutoff: frequency in Hz that somebody who stands is smoothed to; lower is calmer.
        beta: Hz by which it rises for each height a second; higher follows faster.
        derivative_cutoff: frequency in Hz that speeds are smoothed to.

    Raises:
        OptionError: a frequency is not above 0, or `beta` is below it.
    """

    def __init__(self, min_cutoff: Positive = 1.0, beta: NotNegative = 20.0, derivative_cutoff: Positive = 1.0):
        for name, value in (("min_cutoff", min_cutoff), ("derivative_cutoff", derivative_cutoff)):
            if not value > 0:
                raise OptionError(f"{name} is {value} Hz, expected a number above 0")
        if not beta >= 0:
            raise OptionError(f"beta is {beta}, expected a number from 0 on")
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self.reset()

    def reset(self) -> None:
        """Begin another video."""
        self._memory: _Memory | None = None
        self._time = -np.inf

    def update(
        self, ids: ndarray, points: ndarray, point_scores: ndarray | None, heights: ndarray, *, time: float
    ) -> ndarray:
        """Smooth the points of the next frame.

        Args:
            ids: [N], who is who; people below 1 are left as they are.
            points: [N, K, 2] in pixels, NaN where not seen.
            point_scores: [N, K]; None where all count in full.
            heights: [N] pixels, of the people.
            time: seconds; one that does not run on begins afresh.

        Returns:
            points [N, K, 2], NaN where not seen.
        """
        missing = ~np.isfinite(points)
        points = np.where(missing[..., :1] | missing[..., 1:], np.nan, points).astype(np.float64)
        step, memory = time - self._time, self._memory
        smoothed, speeds = points.copy(), np.where(np.isnan(points), np.nan, 0.0)
        if memory is not None and len(memory.ids) and 0 < step < np.inf:
            places = np.minimum(np.searchsorted(memory.ids, ids), len(memory.ids) - 1)
            known = np.flatnonzero(memory.ids[places] == ids)
            before, last = (column[places[known]] for column in memory[1:])
            now, height = points[known], np.asarray(heights, np.float64)[known, None, None]
            weights = 1.0 if point_scores is None else _weigh(point_scores[known])[..., None]
            rate = _share(self.derivative_cutoff, step) * ((now - before) / (height * step) - last) + last
            cutoff = self.min_cutoff + self.beta * np.hypot(rate[..., :1], rate[..., 1:])
            # As if the time before a doubtful point were shorter.
            share = 1 - (1 - _share(cutoff, step)) ** weights
            followed = ~np.isnan(last) & ~np.isnan(now)
            smoothed[known] = np.where(followed, before + share * (now - before), now)
            speeds[known] = np.where(followed, rate, speeds[known])
        order = np.argsort(ids, kind="stable")
        order = order[ids[order] > 0]
        self._memory, self._time = _Memory(ids[order], smoothed[order], speeds[order]), time
        return smoothed


def _weigh(point_scores: ndarray) -> ndarray:
    """Weights of keypoints, 1 of those that are sure."""
    return np.square(np.clip(np.nan_to_num(point_scores) / SURE, 0.0, 1.0))


def _share(cutoff: ndarray | float, step: float) -> ndarray | float:
    """How much of a new value a low pass takes, of a frequency in Hz, after seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))


def savitzky_golay(
    points: ndarray,
    point_scores: ndarray | None,
    times: ndarray,
    window: Count = 7,
    order: int = 2,
    frame: int | None = None,
) -> ndarray:
    """Fit a polynomial to the frames around each (Savitzky and Golay, 1964), which has no lag.

    The first and last frames of a run take the polynomial of its first and last whole window. A run that is shorter
    takes one polynomial, and stays as it is where that has too few points. Frames need not be equally far apart.

    Args:
        points: [T, ..., 2], a row a frame, NaN where not seen.
        point_scores: [T, ...]; None where all count alike.
        times: [T] seconds, ascending.
        window: frames, an odd number.
        order: of the polynomial, below `window`.
        frame: the only row that is asked for; `window` - 1 rows on both sides are enough for it.

    Returns:
        points [T, ..., 2], of one row [1, ..., 2]; NaN where not seen.

    Raises:
        OptionError: the window is even, or the order too high.
    """
    if window < 1 or window % 2 == 0:
        raise OptionError(f"window is {window}, expected an odd number of frames")
    if not 0 <= order < window:
        raise OptionError(f"order is {order}, expected 0 to {window - 1} for a window of {window}")
    shape = np.shape(points)
    # As complex numbers [T, J], which are faster than rows of two.
    flat = np.array(points, np.float64).reshape(len(points), math.prod(shape[1:-1]), 2).view(np.complex128)[..., 0]
    seen = np.isfinite(flat)
    weights: ndarray = seen.astype(np.float64)
    if point_scores is not None:
        weights *= _weigh(np.asarray(point_scores, np.float64).reshape(seen.shape))
    first, last = _run_ends(seen)
    values, smoothed, times = np.where(seen, flat, 0.0), flat.copy(), np.asarray(times, np.float64)
    begin, end = (0, len(flat)) if frame is None else (frame, frame + 1)
    for start in range(begin, end, AT_ONCE):
        rows = slice(start, min(start + AT_ONCE, end))
        smoothed[rows] = _fit(values, weights, times, first[rows], last[rows], flat[rows], start, window, order)
    return smoothed[begin:end].view(np.float64).reshape(end - begin, *shape[1:])


def _run_ends(seen: ndarray) -> tuple[ndarray, ndarray]:
    """First and last frame of the run that each keypoint [T, J] is in."""
    frames = np.arange(len(seen))[:, None]
    before = np.maximum.accumulate(np.where(seen, -1, frames), axis=0)
    after = np.minimum.accumulate(np.where(seen, len(seen), frames)[::-1], axis=0)[::-1]
    return before + 1, after - 1


def _fit(
    values: ndarray,
    weights: ndarray,
    times: ndarray,
    first: ndarray,
    last: ndarray,
    raw: ndarray,
    start: int,
    window: int,
    order: int,
) -> ndarray:
    """The frames from `start` on, complex [S, J], at the middle of polynomials that are centred on them."""
    frames = start + np.arange(len(raw))[:, None]
    # The nearest whole window; where there is none, the whole run.
    lowest = np.maximum(np.minimum(frames - window // 2, last - window + 1), first)
    at = lowest + np.arange(window)[:, None, None]  # [window, S, J]
    inside, at = at <= last, np.minimum(at, len(values) - 1)
    columns = np.arange(values.shape[1])
    power, point = np.where(inside, weights[at, columns], 0.0), values[at, columns]
    enough = (power > 0).sum(axis=0)
    scale: float = (times[-1] - times[0]) / max(len(times) - 1, 1) * (window // 2 + 1) or 1.0  # keeps powers near 1
    offset = (times[at] - times[frames]) / scale
    moments, sums = [], []  # of weights times powers of the time, and of these times points
    for exponent in range(2 * order + 1):
        moments.append(power.sum(axis=0))
        if exponent <= order:
            sums.append((power * point).sum(axis=0))
        power = power * offset
    # Eliminate all coefficients but the constant one, which is the value at the frame itself.
    fitted = enough > order
    matrix = [[moments[row + column] for column in range(order + 1)] for row in range(order + 1)]
    for last_row in range(order, 0, -1):
        pivot = np.where(fitted, matrix[last_row][last_row], 1.0)
        for row in range(last_row):
            factor = matrix[row][last_row] / pivot
            matrix[row] = [matrix[row][k] - factor * matrix[last_row][k] for k in range(last_row)]
            sums[row] = sums[row] - factor * sums[last_row]
    return np.where(fitted, sums[0] / np.where(fitted, matrix[0][0], 1.0), raw)


def jitter(points: ndarray) -> float:
    """Mean length of second differences in pixels, of keypoints [T, ..., 2] that are seen in three frames running."""
    points = np.asarray(points, np.float64)
    changes = np.sqrt(np.square(np.diff(points, n=2, axis=0)).sum(axis=-1))
    known = changes[~np.isnan(changes)]
    return float(known.mean()) if known.size else 0.0
