"""HOTA, the higher order tracking accuracy (Luiten et al., IJCV 2021), of keypoints and of people.

At each of 19 thresholds of similarity: how well things are detected (DetA), how well what is detected together belongs
together (AssA), and the geometric mean of both. Numbers are means over the thresholds, between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

from hrtoolkit.tracking.keypoints import Comparison
from hrtoolkit.tracking.matching import number
from hrtoolkit.tracking.people import Similarities

THRESHOLDS = np.arange(0.05, 0.99, 0.05)
EPSILON = np.finfo(float).eps
FAR = 0.5001  # in sizes of the head: the similarity 0
COUNTS = ("TP", "FN", "FP")
SHARES = ("AssA", "AssRe", "AssPr", "LocA", "FragA")
NUMBERS = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "FragA", "FA-HOTA")


class Hota(NamedTuple):
    """Of each kind of thing that is followed by itself: K keypoints and their total last, or people as the only one."""

    numbers: dict[str, ndarray]  # by `NUMBERS`, [K + 1] or [1]
    hota: ndarray  # at each threshold [19, K + 1] or [19, 1]
    counts: dict[str, ndarray]  # by `COUNTS`, at each threshold [19, K + 1] or [19, 1]


class _Matches(NamedTuple):
    """The pairs of one video, in the order of its frames, of K kinds of things that are followed each by itself."""

    kinds: ndarray  # [M]
    truth: ndarray  # [M], counted from 0
    found: ndarray  # [M], counted from 0
    similarities: ndarray  # [M]
    truth_lengths: ndarray  # [K, people of the truth]: frames that each is in
    lengths: ndarray  # [K, predicted people]
    objects: ndarray  # [K], that are missed where they have no pair
    predicted: ndarray  # [K], that are false where they have no pair


def keypoint_hota(videos: Sequence[Sequence[Comparison]], corrected: bool = False) -> Hota:
    """HOTA of keypoints as PoseTrack21 has it (Döring et al., CVPR 2022).

    In each frame a keypoint's pairs have the highest sum of similarities in this frame alone. The total of one video is
    the mean over its keypoints; that of several counts like one more keypoint, which makes another number of them.

    Args:
        videos: the labelled frames of each, in order, from `compare_for_hota`; one video at least.
        corrected: count what is missed in a frame without predictions, and what is false in one without truth. The
            original counts the keypoints of the whole video there.
    """
    scores = [_score(_match_keypoints(frames, corrected)) for frames in videos if len(frames)]
    if len(scores) == 1:
        return _summarise(_with_total(_finish(scores[0])))
    return _summarise(_finish(_join([_with_total(video) for video in scores])))


def people_hota(videos: Sequence[Sequence[Similarities]]) -> Hota:
    """HOTA of people, as TrackEval has it.

    Args:
        videos: the labelled frames of each, in order; one video at least.
    """
    return _summarise(_finish(_join([_score(_match_people(frames)) for frames in videos if len(frames)])))


def _match_keypoints(frames: Sequence[Comparison], corrected: bool) -> _Matches:
    truth_ids, people = number([frame.truth_ids for frame in frames])
    ids, others = number([frame.ids for frame in frames])
    kinds = frames[0].labelled.shape[0]
    truth_lengths, lengths = np.zeros((kinds, people)), np.zeros((kinds, others))
    objects, predicted = np.zeros(kinds), np.zeros(kinds)
    without = [0, 0]  # frames without truth, and without predictions
    columns = []
    for frame, truth, found in zip(frames, truth_ids, ids, strict=True):
        truth_lengths[:, truth] += frame.labelled
        lengths[:, found] += frame.predicted
        if corrected or (len(truth) and len(found)):
            objects += frame.labelled.sum(axis=1)
            predicted += frame.predicted.sum(axis=1)
        else:
            without[bool(len(truth))] += 1
        similarities = np.maximum(0, 1 - frame.distances / FAR)
        k, g, p = np.nonzero(_pair(frame, similarities))
        columns.append((k, truth[g], found[p], similarities[k, g, p]))
    objects += without[1] * truth_lengths.sum(axis=1)
    predicted += without[0] * lengths.sum(axis=1)
    pairs = map(np.concatenate, zip(*columns, strict=True))
    return _Matches._make([*pairs, truth_lengths, lengths, objects, predicted])


def _pair(frame: Comparison, similarities: ndarray) -> ndarray:
    """Pairs of the highest sum of similarities, of those above 0: bool [K, G, P]."""
    near = similarities > 0
    crowded = (near.sum(axis=1) > 1).any(axis=1) | (near.sum(axis=2) > 1).any(axis=1)
    pairs = near & ~crowded[:, None, None]
    for k in np.flatnonzero(crowded):
        rows, columns = np.flatnonzero(frame.labelled[k]), np.flatnonzero(frame.predicted[k])
        chosen = linear_sum_assignment(similarities[k][np.ix_(rows, columns)], maximize=True)
        pairs[k, rows[chosen[0]], columns[chosen[1]]] = True
    return pairs & near


def _match_people(frames: Sequence[Similarities]) -> _Matches:
    """Pairs of the highest sum of similarities, each weighted by how well both tracks fit over the whole video."""
    truth_ids, people = number([frame.truth_ids for frame in frames])
    ids, others = number([frame.ids for frame in frames])
    truth_lengths = np.bincount(np.concatenate(truth_ids), minlength=people)
    lengths = np.bincount(np.concatenate(ids), minlength=others)
    # Of each pair that is ever seen together: in how many frames, each by how much of both it takes up.
    keys, shares = [], []
    for frame, truth, found in zip(frames, truth_ids, ids, strict=True):
        both = frame.values.sum(axis=0) + frame.values.sum(axis=1, keepdims=True) - frame.values
        keys.append((truth[:, None] * others + found).ravel())
        shares.append(np.where(both > EPSILON, frame.values / np.maximum(both, EPSILON), 0.0).ravel())
    known, places = np.unique(np.concatenate(keys), return_inverse=True)
    together = np.bincount(places, np.concatenate(shares), minlength=len(known))
    fits = together / (truth_lengths[known // max(others, 1)] + lengths[known % max(others, 1)] - together)
    columns, start = [], 0
    for frame, truth, found in zip(frames, truth_ids, ids, strict=True):
        weights = fits[places[start : start + frame.values.size]].reshape(frame.values.shape)
        start += frame.values.size
        g, p = linear_sum_assignment(weights * frame.values, maximize=True)
        columns.append((np.zeros(len(g), np.int64), truth[g], found[p], frame.values[g, p]))
    pairs = map(np.concatenate, zip(*columns, strict=True))
    both_lengths = truth_lengths[None], lengths[None]
    return _Matches._make([*pairs, *both_lengths, *(some.sum(axis=1) for some in both_lengths)])


def _score(matches: _Matches) -> dict[str, ndarray]:
    """Counts and shares of one video at each threshold, [19, K]."""
    kinds, (people, others) = len(matches.objects), (matches.truth_lengths.shape[1], matches.lengths.shape[1])
    # Everybody's partners one after another, so that a run of one partner stands together.
    order = np.lexsort((matches.truth, matches.kinds))
    keys = ((matches.kinds * people + matches.truth) * others + matches.found)[order]
    similarities = matches.similarities[order]
    pairs, places = np.unique(keys, return_inverse=True)
    kind, person, other = pairs // (people * others), pairs // others % people, pairs % others
    length, other_length = matches.truth_lengths[kind, person], matches.lengths[kind, other]
    numbers: dict[str, list[ndarray]] = {name: [] for name in ("TP", "AssA", "AssRe", "AssPr", "FragA", "LocA")}
    for threshold in THRESHOLDS:
        at = np.flatnonzero(similarities >= threshold - EPSILON)
        where = places[at]
        count = np.bincount(where, minlength=len(pairs))
        starts = np.flatnonzero(np.diff(where, prepend=-1))
        runs = np.diff(starts, append=len(where))
        pieces = np.bincount(where[starts], runs**2, minlength=len(pairs))

        def share(values: ndarray, kind: ndarray = kind) -> ndarray:
            return np.bincount(kind, values, minlength=kinds)

        hits = share(count)
        union = np.maximum(1, length + other_length - count)
        numbers["TP"].append(hits)
        for name, values in (
            ("AssA", count**2 / union),
            ("AssRe", count**2 / np.maximum(1, length)),
            ("AssPr", count**2 / np.maximum(1, other_length)),
            ("FragA", pieces / union),
        ):
            numbers[name].append(share(values) / np.maximum(1, hits))
        located = np.bincount(kind[where], similarities[at], minlength=kinds)
        numbers["LocA"].append(np.where(hits > 0, located / np.maximum(1, hits), 1.0))
    scores = {name: np.array(rows) for name, rows in numbers.items()}
    return scores | {"FN": matches.objects - scores["TP"], "FP": matches.predicted - scores["TP"]}


def _with_total(scores: dict[str, ndarray]) -> dict[str, ndarray]:
    """Append a column: sums of counts, means of shares."""
    return {
        name: np.column_stack([rows, rows.sum(axis=1) if name in COUNTS else rows.mean(axis=1)])
        for name, rows in scores.items()
    }


def _join(videos: Sequence[dict[str, ndarray]]) -> dict[str, ndarray]:
    """Numbers of several videos: counts are summed, shares weighted with the hits."""
    sums = {name: np.sum([video[name] for video in videos], axis=0) for name in COUNTS}
    hits = sums["TP"]
    shares = {name: np.sum([video[name] * video["TP"] for video in videos], axis=0) for name in SHARES}
    shares = {name: rows / np.maximum(1, hits) for name, rows in shares.items()}
    return sums | shares | {"LocA": np.where(hits > 0, shares["LocA"], 1.0)}


def _finish(scores: dict[str, ndarray]) -> dict[str, ndarray]:
    """Add what follows from counts and shares."""
    hits, misses, false = (scores[name] for name in COUNTS)
    found = hits / np.maximum(1, hits + misses + false)
    return scores | {
        "DetA": found,
        "DetRe": hits / np.maximum(1, hits + misses),
        "DetPr": hits / np.maximum(1, hits + false),
        "HOTA": np.sqrt(found * scores["AssA"]),
        "FA-HOTA": np.sqrt(found * np.sqrt(scores["AssA"] * scores["FragA"])),
    }


def _summarise(scores: dict[str, ndarray]) -> Hota:
    numbers = {name: scores[name].mean(axis=0) for name in NUMBERS}
    return Hota(numbers, scores["HOTA"], {name: scores[name].astype(np.int64) for name in COUNTS})
