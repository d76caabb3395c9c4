"""Keypoints of tracked people against the truth, frame by frame: what PoseTrack's two evaluations look at.

Both divide distances by the size of the head and leave out what lies in regions to ignore; they differ in which
points exist (poseval by Leonid Pishchulin; PoseTrack21, Döring et al., CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.tracking.matching import check_unique

HEAD_BIAS = 0.6  # of the diagonal of a head's box: its size
NO_SCORE = -9999.0  # of keypoints whose scores nobody gave
# Joints that are reported together, by the names of the parts; each has a left and a right one but the head.
GROUPS = {
    "Head": ("head_top", "head_bottom", "nose"),
    **{name: (f"left_{name.lower()}", f"right_{name.lower()}") for name in ("Shoulder", "Elbow", "Wrist")},
    **{name: (f"left_{name.lower()}", f"right_{name.lower()}") for name in ("Hip", "Knee", "Ankle")},
}


class People(NamedTuple):
    """N people of one frame, true or predicted, in pixels of the image."""

    ids: ndarray  # [N] whole numbers
    points: ndarray  # [N, K, 2] (x, y)
    present: ndarray  # [N, K] bool: labelled, or predicted
    scores: ndarray | None = None  # [N, K], of predictions
    head_sizes: ndarray | None = None  # [N] pixels, of truth

    def select(self, chosen: ndarray) -> People:
        """The people at some positions, or where a mask [N] is true."""
        return People._make(None if column is None else column[chosen] for column in self)


class VideoFrame(NamedTuple):
    """A frame of a video as the files of its truth have it, which is what its benchmark compares with."""

    video: str  # its name
    number: int  # of the frame in the video; frames may be missing
    labelled: bool  # whether everybody in it is annotated
    people: People  # of the truth, with the sizes of heads
    regions: list[ndarray]  # to ignore, polygons [V, 2] in pixels


class Comparison(NamedTuple):
    """The measure of a frame: G people of the truth, P predicted ones."""

    truth_ids: ndarray  # [G]
    ids: ndarray  # [P]
    labelled: ndarray  # [K, G] bool
    predicted: ndarray  # [K, P] bool
    distances: ndarray  # [K, G, P] float64, in sizes of the head; infinite where either lacks the keypoint
    scores: ndarray  # [K, P] float64


def head_sizes(boxes_xywh: ndarray) -> ndarray:
    """Sizes [N] of the heads in boxes [N, 4] (left, top, width, height)."""
    # The original's norm; `np.hypot` may differ in the last digit, which is enough where a distance meets the limit.
    return HEAD_BIAS * np.sqrt(np.square(boxes_xywh[:, 2:]).sum(axis=1))


def compare(truth: People, found: People, regions: Sequence[ndarray] = ()) -> Comparison | None:
    """Compare a labelled frame as poseval does, for average precision and MOTA.

    Points strictly inside a region are left out, and then people without points.

    Args:
        truth: with the sizes of heads.
        found: predictions.
        regions: to ignore, polygons [V, 2] in pixels.

    Returns:
        None for a frame in which nobody is labelled: it costs nothing, whatever is predicted.

    Raises:
        DataError: two people of the frame have one id.
    """
    if not len(truth.ids):
        return None
    if len(regions):
        truth, found = (_leave_out(people, regions) for people in (truth, found))
    return _compare(truth, found)


def compare_for_hota(truth: People, found: People, regions: Sequence[ndarray] = ()) -> Comparison:
    """Compare a labelled frame as PoseTrack21 does, for HOTA of keypoints.

    A keypoint exists where x and y are above 0, in truth and prediction alike; people without one do not.

    Args:
        truth: with the sizes of heads.
        found: predictions.
        regions: to ignore, polygons [V, 2] in pixels.

    Raises:
        DataError: two people of the frame have one id.
    """
    truth, found = (
        people._replace(present=people.present & (people.points > 0).all(axis=-1)) for people in (truth, found)
    )
    return _compare(*(_leave_out(people, regions) for people in (truth, found)))


def _leave_out(people: People, regions: Sequence[ndarray]) -> People:
    present = people.present & ~inside(people.points, regions)
    return people._replace(present=present).select(present.any(axis=1))


def _compare(truth: People, found: People) -> Comparison:
    check_unique(truth.ids, "the truth")
    check_unique(found.ids, "the predictions")
    assert truth.head_sizes is not None, "distances are in sizes of the head"
    labelled, predicted = truth.present.T, found.present.T
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = (
            np.asarray(truth.points, np.float64)[:, None] - np.asarray(found.points, np.float64)[None]
        )  # [G, P, K, 2]
        distances = np.sqrt(np.square(steps).sum(axis=-1)) / truth.head_sizes[:, None, None]
    distances = distances.transpose(2, 0, 1)  # [K, G, P]
    there = labelled[:, :, None] & predicted[:, None] & np.isfinite(distances)
    scores = np.full(found.present.shape, NO_SCORE) if found.scores is None else found.scores
    return Comparison(
        truth_ids=truth.ids,
        ids=found.ids,
        labelled=labelled,
        predicted=predicted,
        distances=np.where(there, distances, np.inf),
        scores=np.asarray(scores, np.float64).T,
    )


def inside(points: ndarray, regions: Sequence[ndarray]) -> ndarray:
    """Which points [...] lie inside one of some polygons; an edge or a corner is not inside.

    A polygon that crosses itself has holes where its edges surround a point an even number of times; one of fewer than
    three corners has no inside.

    Args:
        points: [..., 2] (x, y).
        regions: polygons [V, 2].
    """
    found = np.zeros(points.shape[:-1], dtype=bool)
    x, y = (np.asarray(points[..., axis, None], np.float64) for axis in (0, 1))  # [..., 1]
    for region in regions:
        if len(region) < 3:
            continue
        (x1, y1), (x2, y2) = np.asarray(region, np.float64).T, np.roll(region, -1, axis=0).astype(np.float64).T
        turn = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)  # above 0 left of the edge, 0 on its line
        between = (np.minimum(x1, x2) <= x) & (x <= np.maximum(x1, x2))
        between &= (np.minimum(y1, y2) <= y) & (y <= np.maximum(y1, y2))
        on_edge = ((turn == 0) & between).any(axis=-1)
        # A ray to the right crosses an edge that begins on one side of it and ends on the other.
        upwards, downwards = (y1 <= y) & (y < y2), (y2 <= y) & (y < y1)
        crossings = ((upwards & (turn > 0)) | (downwards & (turn < 0))).sum(axis=-1)
        found |= (crossings % 2 == 1) & ~on_edge
    return found
