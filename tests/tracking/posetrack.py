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


def write_truth(folder, name, frames, number=1):
    """Write a sequence of `vectors.json` as PoseTrack18's file of truth; the video is called `video_of(name)`."""
    video = video_of(name)
    images, annotations = [], []
    for place, frame in enumerate(frames):
        image = dict(id=10**10 + int(video[:6]) * 10**4 + place, file_name=f"images/val/{video}/{place:06d}.jpg")
        xs, ys = ([[point[axis] for point in region] for region in frame.get("regions", ())] for axis in (0, 1))
        image |= dict(is_labeled=frame["labelled"], ignore_regions_x=xs, ignore_regions_y=ys, width=400, height=300)
        images.append(image)
        for row, person in enumerate(frame["truth"]):
            keypoints, low, high = to_keypoints(person)
            sides = [max(b - a, 1) for a, b in zip(low, high, strict=True)]
            box = [a - 0.15 * side for a, side in zip(low, sides, strict=True)] + [1.3 * side for side in sides]
            annotation = dict(image_id=image["id"], id=image["id"] * 100 + row, track_id=person["id"], category_id=1)
            annotations.append(annotation | dict(keypoints=keypoints, bbox=box, bbox_head=person["head"], scores=[]))
    return write_file(folder / f"{video}.json", images, annotations)


def write_file(path, images, annotations):
    """Write a file of truth or predictions."""
    categories = [dict(id=1, name="person", supercategory="person", keypoints=FILE_NAMES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return path


def video_of(name):
    return f"{name}_mpii_test"


def to_keypoints(person):
    """The file's triplets of somebody of `vectors.json`, and their extent."""
    given = dict(zip(NAMES, np.reshape(person["points"], (15, 2)).tolist(), strict=True))
    points = [
        [value / 4 for value in given[name]] if None not in given.get(name, [None]) else None for name in FILE_NAMES
    ]
    there = [point for point in points if point is not None] or [[0.0, 0.0]]
    low, high = ([pick(values) for values in zip(*there, strict=True)] for pick in (min, max))
    return [value for point in points for value in ([0, 0, 0] if point is None else [*point, 1])], low, high


def assert_equal(values, expected, tolerance=1e-9):
    """Numbers agree; null stands for NaN."""
    np.testing.assert_allclose(values, np.array(expected, np.float64), rtol=0, atol=tolerance)
