"""People followed as one thing each, by boxes or by poses: CLEAR MOT and IDF1, as TrackEval has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

from hrtoolkit.tracking.matching import check_unique, number

SIMILAR = 0.5  # a hit
EPSILON = np.finfo(float).eps


class Similarities(NamedTuple):
    """The measure of a frame: G people of the truth, P predicted ones."""

    truth_ids: ndarray  # [G] whole numbers
    ids: ndarray  # [P] whole numbers
    values: ndarray  # [G, P], between 0 and 1


class Clear(NamedTuple):
    """CLEAR MOT (Bernardin and Stiefelhagen, 2008)."""

    mota: float
    motp: float  # mean similarity of hits
    hits: int
    misses: int
    false: int
    switches: int
    mostly_tracked: int  # people of the truth who are hit in more than 80 % of their frames
    partly_tracked: int
    mostly_lost: int  # in less than 20 %
    fragments: int  # interruptions


class Identity(NamedTuple):
    """IDF1 (Ristani et al., 2016)."""

    idf1: float
    precision: float
    recall: float
    hits: int
    misses: int
    false: int


def measure_people(truth_ids: ndarray, ids: ndarray, values: ndarray) -> Similarities:
    """The measure of a frame for `people_clear`, `people_identity` and `hrtoolkit.tracking.hota.people_hota`.

    Args:
        truth_ids: [G] whole numbers.
        ids: [P] whole numbers.
        values: [G, P] similarities, from `hrtoolkit.tracking.boxes`.

    Raises:
        DataError: two people of the frame have one id.
    """
    check_unique(truth_ids, "the truth")
    check_unique(ids, "the predictions")
    return Similarities(truth_ids, ids, np.nan_to_num(np.asarray(values, np.float64)))


def people_clear(videos: Sequence[Sequence[Similarities]]) -> Clear:
    """MOTA and what it counts.

    Who was matched in the frame before stays matched while similar; the rest are paired at the highest sum of
    similarities. Somebody who is matched to another than the last time, however long ago, is a switch.

    Args:
        videos: the labelled frames of each, in order.
    """
    counts = np.sum([_clear(frames) for frames in videos], axis=0) if len(videos) else np.zeros(9)
    similarity, hits, misses, false, switches, *whole = counts.tolist()
    return Clear(
        (hits - false - switches) / max(1.0, hits + misses),
        similarity / max(1.0, hits),
        *map(int, (hits, misses, false, switches, *whole)),
    )


def _clear(frames: Sequence[Similarities]) -> ndarray:
    truth_ids, people = number([frame.truth_ids for frame in frames])
    ids, _ = number([frame.ids for frame in frames])
    ever, before = np.full(people, -1), np.full(people, -1)  # whom each was matched to: at last, and a frame ago
    seen, hit, begun = (np.zeros(people, np.int64) for _ in range(3))
    similarity, hits, misses, false, switches = 0.0, 0, 0, 0, 0
    for frame, truth, found in zip(frames, truth_ids, ids, strict=True):
        seen[truth] += 1
        if not (len(truth) and len(found)):  # leaves what was a frame ago as it is
            misses += len(truth)
            false += len(found)
            continue
        kept = before[truth][:, None] == found
        values = np.where(frame.values < SIMILAR - EPSILON, 0.0, 1000.0 * kept + frame.values)
        g, p = linear_sum_assignment(values, maximize=True)
        there = values[g, p] > EPSILON
        g, p = g[there], p[there]
        matched, partners = truth[g], found[p]
        switches += int(((ever[matched] >= 0) & (ever[matched] != partners)).sum())
        begun[matched] += before[matched] < 0
        ever[matched] = partners
        before[:] = -1
        before[matched] = partners
        hit[matched] += 1
        hits += len(g)
        misses += len(truth) - len(g)
        false += len(found) - len(g)
        similarity += float(frame.values[g, p].sum())
    shares = hit / np.maximum(seen, 1)
    mostly, partly = int((shares > 0.8).sum()), int((shares >= 0.2).sum())
    whole = (mostly, partly - mostly, people - partly, int(np.maximum(begun - 1, 0).sum()))
    return np.array([similarity, hits, misses, false, switches, *whole], np.float64)


def people_identity(videos: Sequence[Sequence[Similarities]]) -> Identity:
    """IDF1: how much of the people is under the one id that stands for them best over the whole video.

    Args:
        videos: the labelled frames of each, in order.
    """
    hits, misses, false = np.sum([_identity(frames) for frames in videos], axis=0) if len(videos) else (0, 0, 0)
    return Identity(
        float(hits / max(1.0, hits + 0.5 * (misses + false))),
        float(hits / max(1.0, hits + false)),
        float(hits / max(1.0, hits + misses)),
        *map(int, (hits, misses, false)),
    )


def _identity(frames: Sequence[Similarities]) -> tuple[int, int, int]:
    truth_ids, people = number([frame.truth_ids for frame in frames])
    ids, others = number([frame.ids for frame in frames])
    together = np.zeros((people, others), np.int64)
    for frame, truth, found in zip(frames, truth_ids, ids, strict=True):
        together[np.ix_(truth, found)] += frame.values >= SIMILAR
    # An unpaired track costs all its frames, so pairing costs what both have beside each other, and hits save it twice.
    hits = int(together[linear_sum_assignment(together, maximize=True)].sum())
    return hits, sum(map(len, truth_ids)) - hits, sum(map(len, ids)) - hits
