"""Films of walking people with exact truth, and what a detector and a pose network might find in them; no pictures.

People are 17 keypoints of COCO that walk across the image, nearer ones before farther ones. Who is covered by somebody
nearer, or by a pillar, is there and cannot be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy import ndarray

from hrtoolkit.runtime.prediction import Prediction
from hrtoolkit.runtime.records import Objects
from hrtoolkit.runtime.sources import Source
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tracking.boxes import box_iou
from hrtoolkit.tracking.keypoints import People, compare
from hrtoolkit.tracking.poseval import average_precision

Kind = Literal["crossing", "occlusion", "returning", "shake"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WIDTH, HEIGHT = 1280, 720  # of the image in pixels
COVERED = 0.6  # share of a box behind which nobody is found
HEAD = 0.1  # of the height of somebody's box, to which PoseTrack compares distances
PILLAR_SECONDS = 1.0  # that somebody needs to walk past it
# Of a body of height 1, seen from the side it walks along: how far out of the middle, and how far down.
BODY = {
    "nose": (0.02, 0.06), "eye": (0.015, 0.045), "ear": (0.03, 0.055), "shoulder": (0.1, 0.18), "elbow": (0.12, 0.33),
    "wrist": (0.12, 0.47), "hip": (0.06, 0.52), "knee": (0.06, 0.74), "ankle": (0.06, 0.96),
}  # fmt: skip
SWING = {"elbow": -0.05, "wrist": -0.12, "knee": 0.08, "ankle": 0.16}  # to and fro at each step, of the left side


class Frame(NamedTuple):
    """People of one frame, true ones or found ones."""

    time: float  # seconds
    ids: ndarray  # [N]; of found ones that of the truth, -1 where there is none
    boxes: ndarray  # [N, 4]
    points: ndarray  # [N, 17, 2]
    scores: ndarray  # [N]
    point_scores: ndarray  # [N, 17]


def make_film(
    kind: Kind, fps: float = 30, seconds: float = 20, people: int = 6, seed: int = 0
) -> tuple[list[Frame], list[Frame]]:
    """The truth of every frame, without who is hidden or outside, and what is found.

    Found boxes and points are off by some pixels, 10 % of the people are missed, 5 % are false or found twice.

    Args:
        kind: "crossing", people who walk to and fro past each other; "occlusion", past pillars that hide them for a
            second too; "returning", out of the image and back; "shake", seen by a camera that is held by hand.
        fps: frames a second.
        seconds: that it lasts.
        people: in it.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(round(fps * seconds)) / fps
    heights = rng.uniform(140, 260, people)
    points = _walk(kind, times, heights, rng)  # [T, N, 17, 2]
    boxes = np.concatenate([points.min(axis=2), points.max(axis=2)], axis=-1)
    boxes += heights[:, None] * (-0.05, -0.05, 0.05, 0.04)
    covered = _cover(boxes, heights)
    if kind == "occlusion":
        middles = boxes[..., [0, 2]].mean(axis=-1)
        half = PILLAR_SECONDS * 0.75 * heights / 2  # as wide as it takes
        covered = np.maximum(covered, np.abs(middles - WIDTH / 2) < half)
    inside = (boxes[..., 2] > 20) & (boxes[..., 0] < WIDTH - 20)
    if kind == "shake":
        shift = _shake(times, rng)
        points, boxes = points + shift[:, None, None], boxes + np.tile(shift, 2)[:, None]
    truth, found = [], []
    for place, time in enumerate(times.tolist()):
        there = np.flatnonzero(inside[place] & (covered[place] < COVERED))
        one = Frame(
            time, there, boxes[place, there], points[place, there], np.ones(len(there)), np.ones((len(there), 17))
        )
        truth.append(one)
        found.append(_find(one, covered[place, there], heights[there], rng))
    return truth, found


def as_predictions(found: Iterable[Frame]) -> Iterator[Prediction]:
    """What is found of a film as a predictor gives it."""
    image = np.zeros((8, 8, 3), np.uint8)
    for number, frame in enumerate(found):
        record = Objects(
            frame.boxes,
            np.zeros(len(frame.boxes), np.int64),
            frame.scores,
            frame.points.astype(np.float32),
            point_scores=frame.point_scores,
        )
        yield Prediction(Source("film", None, number, frame.time), record, COCO, image)


def measure_precision(truth: Sequence[Frame], found: Iterable[Prediction]) -> float:
    """PoseTrack's average precision of keypoints on a film, in percent.

    Args:
        truth: of every frame.
        found: people of every frame, with points and scores.
    """
    compared = []
    for true, prediction in zip(truth, found, strict=True):
        record = prediction.record
        assert isinstance(record, Objects) and record.points is not None
        heads = HEAD * (true.boxes[:, 3] - true.boxes[:, 1])
        people = People(true.ids, true.points, true.point_scores > 0, head_sizes=heads)
        numbers, everything = np.arange(len(record.points)), np.ones(record.points.shape[:2], dtype=bool)
        compared.append(compare(people, People(numbers, record.points, everything, record.point_scores)))
    return float(average_precision([one for one in compared if one is not None]).ap[-1])


def _walk(kind: Kind, times: ndarray, heights: ndarray, rng: np.random.Generator) -> ndarray:
    """Keypoints of everybody at every time [T, N, 17, 2]: to and fro between two turning points, at an even pace."""
    people = len(heights)
    speeds = 0.75 * heights * rng.uniform(0.8, 1.4, people)  # pixels a second
    margin = np.full(people, -200.0) if kind == "returning" else rng.uniform(60, 250, people)
    way = WIDTH - 2 * margin
    gone = rng.uniform(0, 2 * way) + speeds * times[:, None]
    turn = np.mod(gone, 2 * way)
    x = margin + np.where(turn < way, turn, 2 * way - turn)
    facing = np.where(turn < way, 1.0, -1.0)
    feet = HEIGHT * 0.55 + heights * 1.05 + rng.uniform(-15, 15, people)  # nearer people stand lower
    phase = 2 * np.pi * (speeds / heights)[None] * times[:, None] / 1.1 + rng.uniform(0, 6, people)
    points = np.zeros((len(times), people, 17, 2))
    for index, name in enumerate(COCO.names):
        side, _, part = name.rpartition("_")
        out, down = BODY[part]
        sign = {"left": 1.0, "right": -1.0, "": 0.0}[side]
        swing = sign * SWING.get(part, 0.0) * np.sin(phase)
        ahead = out if part == "nose" else 0.4 * sign * out
        points[:, :, index, 0] = x + heights * facing * (ahead + swing)
        points[:, :, index, 1] = feet + heights * (down - 1 - 0.3 * np.abs(swing) - 0.01 * np.cos(2 * phase))
    return points


def _cover(boxes: ndarray, heights: ndarray) -> ndarray:
    """Largest share of each box [T, N] that one nearer person covers."""
    low = np.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = np.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)  # [T, N, N]
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    nearer = heights[None, :] > heights[:, None]
    return (shared * nearer / areas[:, :, None]).max(axis=-1)


def _shake(times: ndarray, rng: np.random.Generator) -> ndarray:
    """Where a camera that is held by hand looks [T, 2]: sways of up to 12 pixels, 0.3 to 4 times a second."""
    rates, phases = rng.uniform(0.3, 4, (5, 2)), rng.uniform(0, 6, (5, 2))
    sizes = rng.uniform(4, 12, (5, 2)) / np.sqrt(rates)
    return (sizes * np.sin(2 * np.pi * rates * times[:, None, None] + phases)).sum(axis=1)


def _find(truth: Frame, covered: ndarray, heights: ndarray, rng: np.random.Generator) -> Frame:
    """What is found of the people of a frame."""
    kept = rng.random(len(truth.ids)) >= 0.1
    one = Frame(truth.time, *(column[kept] for column in truth[1:]))
    covered, heights = covered[kept], heights[kept]
    count = len(one.ids)
    points = one.points + rng.normal(0, 0.012, (count, 17, 2)) * heights[:, None, None]
    wild = rng.random((count, 17)) < 0.02 + 0.2 * covered[:, None]
    points = np.where(wild[..., None], points + rng.normal(0, 0.15, points.shape) * heights[:, None, None], points)
    boxes = one.boxes + rng.normal(0, 0.02, (count, 4)) * heights[:, None]
    scores = np.clip(rng.normal(0.85, 0.08, count) - 0.5 * covered, 0.05, 1)
    point_scores = np.clip(rng.normal(0.8, 0.1, (count, 17)) - 0.5 * wild, 0.05, 1)
    false = np.flatnonzero(rng.random(len(truth.ids)) < 0.05)
    shift = rng.normal(0, 0.4, (len(false), 2)) * heights.mean() if count else np.zeros((len(false), 2))
    extra = truth.points[false] + shift[:, None] + rng.normal(0, 5, (len(false), 17, 2))
    every = (
        (one.ids, np.full(len(false), -1)),
        (boxes, truth.boxes[false] + np.tile(shift, 2)),
        (points, extra),
        (scores, rng.uniform(0.2, 0.7, len(false))),
        (point_scores, rng.uniform(0.2, 0.7, (len(false), 17))),
    )
    order = rng.permutation(count + len(false))
    return Frame(truth.time, *(np.concatenate(pair)[order] for pair in every))


def find_poses(boxes: ndarray, frame: Frame, rng: np.random.Generator) -> tuple[ndarray, ndarray]:
    """What a network finds that looks at crops: the person who fills a box best, or nothing to speak of.

    Args:
        boxes: [N, 4], where it looks.
        frame: the truth.
        rng: of everything random.

    Returns:
        points [N, 17, 2] and their scores [N, 17].
    """
    points = rng.uniform(boxes[:, None, :2], boxes[:, None, 2:], (len(boxes), 17, 2))
    scores = rng.uniform(0, 0.3, (len(boxes), 17))
    if not len(frame.boxes):
        return points, scores
    overlaps = box_iou(boxes[:, None], frame.boxes)
    best, there = overlaps.argmax(axis=1), overlaps.max(axis=1) > 0.3
    heights = (frame.boxes[:, 3] - frame.boxes[:, 1])[best, None]
    found = frame.points[best] + rng.normal(0, 0.012, points.shape) * heights[..., None]
    margin = 0.1 * heights[..., None]
    inside = ((found > boxes[:, None, :2] - margin) & (found < boxes[:, None, 2:] + margin)).all(axis=-1)
    sure = np.clip(rng.normal(0.8, 0.1, scores.shape), 0.05, 1) * np.where(inside, 1.0, 0.1)
    return np.where(there[:, None, None], found, points), np.where(there[:, None], sure, scores)
