"""From the poses of one image to its people: scores, similarity, and removal of duplicates.

Plain numpy in float64; keypoints are (x, y) in original-image pixels, areas are in square pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import OptionError
from hrtoolkit.ranges import Share
from hrtoolkit.records import Objects, Record, join
from hrtoolkit.registry import FINISHES
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import with_sigmas

MOST_PEOPLE = 20  # of an image, after soft suppression


@FINISHES.register_module()
class PoseFinish:
    """The people of one image: rescored, without duplicates, best first.

    Args:
        scheme: of the keypoints.
        keypoint_threshold: scores of keypoints up to this one do not count in the score of a person.
        nms: how several poses of the same person are treated: "oks" removes them, "soft" lowers their scores and keeps
            20 people, None leaves them.
        nms_threshold: threshold of `oks_nms` or `soft_oks_nms`.
        score: what ranks the people: "box_keypoint" is `rescore`, "box" the box score alone, "keypoint" the mean of
            all keypoint scores.

    Raises:
        OptionError: an unknown `nms` or `score`.
    """

    def __init__(
        self,
        *,
        scheme: KeypointScheme,
        keypoint_threshold: Share = 0.2,
        nms: Literal["oks", "soft"] | None = "oks",
        nms_threshold: Share = 0.9,
        score: Literal["box_keypoint", "box", "keypoint"] = "box_keypoint",
    ):
        for name, value, choices in (
            ("nms", nms, ("oks", "soft", None)),
            ("score", score, ("box_keypoint", "box", "keypoint")),
        ):
            if value not in choices:
                raise OptionError(f"PoseFinish: {name} is {value!r}, expected one of {choices}")
        self.sigmas = np.array(with_sigmas(scheme).sigmas)
        self.keypoint_threshold = keypoint_threshold
        self.nms = nms
        self.nms_threshold = nms_threshold
        self.score = score

    def __call__(self, records: Sequence[Record]) -> Objects:
        """Finish the people of an image, whose scores are those of their boxes and whose areas those of their crops."""
        people = join(records)
        assert isinstance(people, Objects) and people.point_scores is not None
        scores = np.asarray(people.scores, np.float64)
        if self.score == "box_keypoint":
            scores = rescore(scores, people.point_scores, self.keypoint_threshold)
        elif self.score == "keypoint":
            scores = people.point_scores.astype(np.float64).mean(axis=1)
        order = np.argsort(-scores, kind="stable")
        scores = scores[order]
        if self.nms is not None:
            assert people.points is not None and people.areas is not None
            oks = pairwise_oks(people.points[order], people.areas[order], self.sigmas)
            if self.nms == "soft":
                kept, scores = soft_oks_nms(scores, oks, self.nms_threshold)
            else:
                kept = oks_nms(scores, oks, self.nms_threshold)
                scores = scores[kept]
            order = order[kept]
        return people.select(order)._replace(scores=scores)


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
    keypoints, areas = np.asarray(keypoints, np.float64), np.asarray(areas, np.float64)
    variances = (2 * np.asarray(sigmas, np.float64)) ** 2
    pair_areas = (areas[:, None] + areas[None, :]) / 2 + np.spacing(1)
    with np.errstate(invalid="ignore"):
        squared_distances = np.square(keypoints[:, None] - keypoints[None, :]).sum(axis=-1)  # [N, N, K]
        similarities = np.exp(-squared_distances / (2 * variances * pair_areas[..., None])).mean(axis=-1)
    return np.nan_to_num(similarities)  # NaN would spread to the scores of others


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
