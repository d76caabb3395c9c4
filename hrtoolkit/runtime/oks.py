"""Poses of the same person: scores, similarity (OKS), and removal of duplicates.

Plain NumPy in float64; keypoints are (x, y) in pixels of the image, areas are in square pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

MOST_PEOPLE = 20  # of an image, after soft suppression
LEAST_AREA = 1.0  # square pixels that points take up: OKS divides by it


def collect_people(points: ndarray, point_scores: ndarray, scores: ndarray) -> dict[str, Any]:
    """The fields of a record of the people that have a score above 0, with the boxes and areas that they take up.

    Args:
        points: [P, K, 2] (x, y) in pixels of the image.
        point_scores: [P, K].
        scores: [P].
    """
    found = scores > 0
    points = points[found].astype(np.float32)
    low, high = points.min(axis=1).astype(np.float64), points.max(axis=1).astype(np.float64)
    return {
        "boxes_xyxy": np.concatenate([low, high], axis=1),
        "labels": np.zeros(len(points), np.int64),
        "scores": scores[found],
        "points": points,
        "point_scores": point_scores[found],
        "areas": np.maximum((high - low).prod(axis=1), LEAST_AREA),
    }


def pairwise_oks(keypoints: ndarray, areas: ndarray, sigmas: ndarray) -> ndarray:
    """Object keypoint similarity of every pose to every other, from 0 (far apart) to 1 (equal).

    All keypoints count alike, whatever their scores. The size of a pair is the mean of both areas, so the matrix is
    symmetric. COCO's evaluation differs: it takes the annotated area and only annotated keypoints.

    Args:
        keypoints: [N, K, 2].
        areas: [N], of the padded crop boxes (not of the tight boxes).
        sigmas: [K], the OKS fall-offs of the keypoints.

    Returns:
        [N, N]; 0 to poses that are not finite.
    """
    keypoints, areas = np.asarray(keypoints), np.asarray(areas, np.float64)
    return oks_between(keypoints[:, None], keypoints[None], (areas[:, None] + areas[None, :]) / 2, sigmas)


def oks_between(
    keypoints: ndarray, others: ndarray, areas: ndarray, sigmas: ndarray, counted: ndarray | None = None
) -> ndarray:
    """Object keypoint similarity of poses to other poses, from 0 (far apart) to 1 (equal).

    Args:
        keypoints: [..., K, 2].
        others: [..., K, 2]; leading dimensions broadcast, as of all that follows.
        areas: [...], square pixels.
        sigmas: [..., K], the OKS fall-offs of the keypoints.
        counted: bool [..., K], the keypoints that are compared; None for all.

    Returns:
        [...]; 0 to poses that are not finite, and where no keypoint counts.
    """
    keypoints, others = np.asarray(keypoints, np.float64), np.asarray(others, np.float64)
    variances = (2 * np.asarray(sigmas, np.float64)) ** 2
    with np.errstate(invalid="ignore"):
        squares = np.square(keypoints - others)
        squared_distances = squares[..., 0] + squares[..., 1]  # [..., K]; a sum over two is many times slower
        similarities = np.exp(-squared_distances / (2 * variances * (areas + np.spacing(1))[..., None]))
    if counted is None:
        return np.nan_to_num(similarities.mean(axis=-1))  # NaN would spread to the scores of others
    means = np.where(counted, similarities, 0.0).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1)
    return np.where(np.isnan(means), 0.0, means)


def oks_nms(scores: ndarray, oks: ndarray, threshold: float) -> ndarray:
    """Greedy suppression: the best pose stays, poses more similar to it than `threshold` go, and so on.

    Args:
        scores: [N].
        oks: [N, N], from `pairwise_oks`.
        threshold: similarity above which the lower score goes; at the usual 0.9 only near-duplicates do.

    Returns:
        Indices of the kept poses, best first; of equal scores the first stands first.
    """
    kept, suppressed = [], np.zeros(len(scores), dtype=bool)
    for index in np.argsort(-np.asarray(scores), kind="stable"):
        if not suppressed[index]:
            kept.append(index)
            suppressed |= oks[index] > threshold
    return np.array(kept, dtype=np.intp)


def soft_oks_nms(
    scores: ndarray, oks: ndarray, threshold: float, max_people: int = MOST_PEOPLE
) -> tuple[ndarray, ndarray]:
    """Soft suppression: nobody goes, but each kept pose lowers the scores of the poses similar to it.

    The official code throws the lowered scores away, which leaves nothing but a cut at 20 people; here they are
    returned.

    Args:
        scores: [N].
        oks: [N, N], from `pairwise_oks`.
        threshold: scores are multiplied by exp(-oks² / threshold).
        max_people: how many poses are kept at most.

    Returns:
        Indices of the kept poses, best lowered score first, and these scores.
    """
    factors = np.exp(-np.square(oks) / threshold)
    lowered, waiting, chosen = np.array(scores, np.float64), np.ones(len(scores), dtype=bool), []
    for _ in range(min(max_people, len(scores))):
        best = np.argmax(np.where(waiting, lowered, -np.inf))
        waiting[best] = False
        lowered[waiting] *= factors[best, waiting]
        chosen.append(best)
    kept = np.array(chosen, dtype=np.intp)
    return kept, lowered[kept]


def rescore(box_scores: ndarray, keypoint_scores: ndarray, threshold: float = 0.2) -> ndarray:
    """Score of each pose: its box score times the mean of its keypoint scores above the threshold (0 if none is).

    Args:
        box_scores: [N], the detector's confidence; 1 for annotated boxes.
        keypoint_scores: [N, K], maxima of the heatmaps.
        threshold: keypoint scores up to this one do not count.

    Returns:
        [N].
    """
    keypoint_scores = np.asarray(keypoint_scores, np.float64)
    counted = keypoint_scores > threshold
    totals = np.where(counted, keypoint_scores, 0.0).sum(axis=1)
    return np.asarray(box_scores, np.float64) * (totals / np.maximum(counted.sum(axis=1), 1))
