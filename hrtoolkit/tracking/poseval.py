"""Average precision and MOTA of keypoints, as PoseTrack's benchmark has them (poseval by Leonid Pishchulin).

Numbers are percentages, one a keypoint, and their mean last. By default they are those of the original code to the
last digit, its faults included; `corrected` mends these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

from hrtoolkit.tracking.keypoints import Comparison
from hrtoolkit.tracking.matching import number

NEAR = 0.5  # in sizes of the head: a hit


class AveragePrecision(NamedTuple):
    """Of each keypoint, and the mean last; percentages [K + 1]."""

    ap: ndarray
    precision: ndarray  # of all predictions
    recall: ndarray


class Mota(NamedTuple):
    """How well keypoints are found and followed."""

    mota: ndarray  # [K + 1] percentages, the mean last; NaN where nobody has the keypoint
    motp: ndarray  # [K + 1] percentages, from matches
    precision: ndarray  # [K + 1] percentages
    recall: ndarray  # [K + 1] percentages
    misses: ndarray  # [K]
    switches: ndarray  # [K]
    false: ndarray  # [K], predicted keypoints without one of the truth
    objects: ndarray  # [K], of the truth
    matches: ndarray  # [K], those that switch too


def average_precision(frames: Sequence[Comparison], corrected: bool = False) -> AveragePrecision:
    """Average precision of keypoints over all frames of all videos.

    A person is paired with one of the truth, who has most hits; what the person of the truth lacks is false. Of equal
    scores the later prediction comes first (the original leaves this to the processor).

    Args:
        frames: in the order of the videos.
        corrected: leave out keypoints that are never labelled. The original counts one that is not predicted either
            as 0, so that the truth itself does not reach 100.
    """
    if not frames:
        return AveragePrecision(*[np.full(1, np.nan)] * 3)
    predicted = np.concatenate([frame.predicted for frame in frames], axis=1)  # [K, all predictions]
    scores = np.concatenate([frame.scores for frame in frames], axis=1)
    hits = np.concatenate([_hits(frame) for frame in frames], axis=1)
    labelled = np.sum([frame.labelled.sum(axis=1) for frame in frames], axis=0)
    rows = [_areas(scores[k, there], hits[k, there], labelled[k]) for k, there in enumerate(predicted)]
    numbers = 100 * np.array(rows).T
    if corrected:
        numbers[:, labelled == 0] = np.nan
    return AveragePrecision(*map(with_mean, numbers))


def _hits(frame: Comparison) -> ndarray:
    """Which predicted keypoints [K, P] lie near those of the one whom their person is paired with."""
    near = frame.distances <= NEAR  # [K, G, P]
    hits = np.zeros(frame.predicted.shape, dtype=bool)
    if not near.size:
        return hits
    shares = near.sum(axis=0) / np.maximum(frame.labelled.sum(axis=0), 1)[:, None]  # [G, P]
    # Everybody chooses whom of the truth they fit best, and is not offered the second best.
    people = np.arange(shares.shape[1])
    choice = shares.argmax(axis=0)
    chosen = np.zeros_like(shares)
    chosen[choice, people] = shares[choice, people]
    best = chosen.argmax(axis=1)
    paired = chosen[np.arange(len(best)), best] > 0
    hits[:, best[paired]] = near[:, paired, best[paired]]
    return hits


def _areas(scores: ndarray, hits: ndarray, labelled: int) -> tuple[float, float, float]:
    """Average precision, precision and recall of one keypoint, of scores [N] and hits [N]."""
    if not len(scores):
        return 0.0, 0.0, 0.0
    found = np.cumsum(hits[np.argsort(scores, kind="stable")[::-1]])
    precision = found / np.arange(1, len(found) + 1)
    if not labelled:
        return np.nan, precision[-1], np.nan
    recall = found / labelled
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best)), precision[-1], recall[-1]


def mota(videos: Sequence[Sequence[Comparison]], corrected: bool = False) -> Mota:
    """MOTA of keypoints (Bernardin and Stiefelhagen, 2008): each is followed by itself, and errors are summed.

    Who was matched before stays matched while near; the rest are paired at the least sum of distances. Somebody who is
    matched to another than the last time, however long ago, is a switch.

    Args:
        videos: the frames of each, in order, without those that `compare` leaves out.
        corrected: count the last frame of a video, which the original leaves out, and in a frame without truth or
            without predictions all that is missed or false, where the original counts one miss, one false keypoint and
            one object of each.
    """
    counts = [
        _follow(frames if corrected else frames[:-1], len(frames[0].labelled), corrected)
        for frames in videos
        if len(frames)
    ]
    if not counts:
        return Mota(*[np.full(1, np.nan)] * 4, *[np.zeros(0, np.int64)] * 5)
    misses, switches, false, objects, matches, distances = np.sum(counts, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = 1 - (misses + switches + false) / objects, matches / (matches + false), matches / objects
    precise = np.where(matches > 0, 1 - distances / np.maximum(matches, 1), 0.0)
    # Without an object, -inf and inf are no number either.
    accuracy, precision, recall = (np.where(np.isfinite(share), share, np.nan) for share in shares)
    percentages = [with_mean(100 * share) for share in (accuracy, precise, precision, recall)]
    return Mota(*percentages, *(count.astype(np.int64) for count in (misses, switches, false, objects, matches)))


def _follow(frames: Sequence[Comparison], keypoints: int, corrected: bool) -> ndarray:
    """Counts of one video: misses, switches, false, objects, matches, and the sum of distances [6, K]."""
    counts = np.zeros((6, keypoints))
    truth_ids, people = number([frame.truth_ids for frame in frames])
    ids, _ = number([frame.ids for frame in frames])
    last = np.full((keypoints, people), -1)  # whom each of the truth was matched to
    for frame, truth, found in zip(frames, truth_ids, ids, strict=True):
        if not corrected and not (len(truth) and len(found)):
            counts[[0, 2, 3]] += 1
            continue
        near = frame.distances <= NEAR  # [K, G, P]
        before = last[:, truth]
        kept = near & (before[:, :, None] == found)
        if kept.sum(axis=1).max(initial=0) > 1:  # two of the truth were matched to one: the first stays
            kept &= kept.cumsum(axis=1) == 1
        matched = kept | _pair(frame, near & ~kept.any(axis=2, keepdims=True) & ~kept.any(axis=1, keepdims=True))
        k, g, p = np.nonzero(matched)
        counts[1] += np.bincount(k[(before[k, g] >= 0) & (before[k, g] != found[p])], minlength=keypoints)
        counts[5] += np.bincount(k, frame.distances[k, g, p], minlength=keypoints)
        last[k, truth[g]] = found[p]
        hits, objects = matched.sum(axis=(1, 2)), frame.labelled.sum(axis=1)
        counts[0] += objects - hits
        counts[2] += frame.predicted.sum(axis=1) - hits
        counts[3] += objects
        counts[4] += hits
    return counts


def _pair(frame: Comparison, allowed: ndarray) -> ndarray:
    """As many pairs as can be, of them those of the least sum of distances: bool [K, G, P]."""
    crowded = (allowed.sum(axis=1) > 1).any(axis=1) | (allowed.sum(axis=2) > 1).any(axis=1)
    pairs = allowed & ~crowded[:, None, None]
    for k in np.flatnonzero(crowded):
        # Which of several equal sums is taken follows from the matrix that is solved, so it is that of the original.
        rows, columns = np.flatnonzero(frame.labelled[k]), np.flatnonzero(frame.predicted[k])
        inner = np.ix_(rows, columns)
        costs, free = frame.distances[k][inner], allowed[k][inner]
        forbidden = 2 * min(costs.shape) * (costs[free].max() + 1) + 1
        chosen = linear_sum_assignment(np.where(free, costs, forbidden))
        kept = free[chosen]
        pairs[k, rows[chosen[0][kept]], columns[chosen[1][kept]]] = True
    return pairs


def with_mean(values: ndarray) -> ndarray:
    """Values [K] with their mean last; what is NaN is left out of it."""
    known = values[~np.isnan(values)]
    return np.append(values, known.mean() if known.size else np.nan)
