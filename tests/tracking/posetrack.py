"""Sequences of `vectors.json` and of PoseTrack18's files as arrays."""

import json
from pathlib import Path

import numpy as np

from hrtoolkit.tracking.keypoints import People, head_sizes

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
SIDED = [
    f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
]
NAMES = ["nose", "head_bottom", "head_top", *SIDED]
FILE_NAMES = [*NAMES[:3], "left_ear", "right_ear", *SIDED]
# The order in which poseval lists its numbers.
RIGHT_LEG, LEFT_LEG = ["ankle", "knee", "hip"], ["hip", "knee", "ankle"]
RIGHT_ARM, LEFT_ARM = ["wrist", "elbow", "shoulder"], ["shoulder", "elbow", "wrist"]
POSEVAL_NAMES = [
    *(f"right_{part}" for part in RIGHT_LEG),
    *(f"left_{part}" for part in LEFT_LEG),
    *(f"right_{part}" for part in RIGHT_ARM),
    *(f"left_{part}" for part in LEFT_ARM),
    *("head_bottom", "nose", "head_top"),
]
POSEVAL_ORDER = [NAMES.index(name) for name in POSEVAL_NAMES]
SEQUENCES = ("990001", "990002", "990003", "990004")


def read_people(rows, order):
    """People of a frame of `vectors.json`, keypoints in an order."""
    points = np.array([row["points"] for row in rows], np.float64).reshape(len(rows), 15, 2)[:, order] / 4
    present = ~np.isnan(points).any(axis=-1)
    ids = np.array([row["id"] for row in rows], np.int64)
    heads = np.array([row.get("head", [0] * 4) for row in rows], np.float64).reshape(-1, 4)
    scores = np.array([row.get("scores", [0] * 15) for row in rows], np.float64).reshape(-1, 15)[:, order]
    return People(ids, np.nan_to_num(points), present, scores, head_sizes(heads))


def read_frames(frames, order, truth_as_prediction=False):
    """Truth, predictions, regions and whether it is labelled, of each frame."""
    for frame in frames:
        truth, found = read_people(frame["truth"], order), read_people(frame["predictions"], order)
        if truth_as_prediction:
            found = truth._replace(scores=np.full(truth.present.shape, 0.9))
        yield truth, found, [np.array(region) for region in frame.get("regions", ())], frame["labelled"]


def read_file(truth_path, found_path):
    """The same of one video in PoseTrack18's format."""
    truth_file, found_file = (json.loads(path.read_text()) for path in (truth_path, found_path))
    order = [FILE_NAMES.index(name) for name in NAMES]
    for image, other in zip(truth_file["images"], found_file["images"], strict=True):
        sides = []
        for content, one in ((truth_file, image), (found_file, other)):
            rows = [row for row in content["annotations"] if row["image_id"] == one["id"]]
            triplets = np.array([row["keypoints"] for row in rows], np.float64).reshape(len(rows), 17, 3)[:, order]
            scores = np.array([row.get("scores") or [0] * 17 for row in rows], np.float64).reshape(-1, 17)[:, order]
            heads = np.array([row.get("bbox_head", [0] * 4) for row in rows], np.float64).reshape(-1, 4)
            ids = np.array([row["track_id"] for row in rows], np.int64)
            sides.append(People(ids, triplets[..., :2], triplets.any(axis=-1), scores, head_sizes(heads)))
        xs, ys = image["ignore_regions_x"], image["ignore_regions_y"]
        yield *sides, [np.stack(region, axis=-1) for region in zip(xs, ys, strict=True)], image["is_labeled"]


def assert_equal(values, expected, tolerance=1e-9):
    """Numbers agree; null stands for NaN."""
    np.testing.assert_allclose(values, np.array(expected, np.float64), rtol=0, atol=tolerance)
