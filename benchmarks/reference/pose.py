"""Keypoints of people, one after the other.

After the released code of Xiao et al. (ECCV 2018) and Wang et al. (arXiv:1902.09212).
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from benchmarks.made_up import PEOPLE_PER_IMAGE, describe_people, place_boxes, place_keypoints
from hrtoolkit.frames import Warp
from hrtoolkit.records import Objects
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.tasks.pose.datasets import CocoKeypoints

ANNOTATED_PER_IMAGE = 2


def decode(heatmaps: Tensor, frames: Warp, stride: int = 4) -> list[Objects]:
    """Read keypoints joint by joint: the highest cell, and a quarter of a cell towards its higher neighbour.

    Args:
        heatmaps: [B, K, H, W].
        frames: of the crops.
        stride: input pixels a cell.

    Returns:
        one person a crop, with `points` in image pixels and `point_scores`.
    """
    people = []
    assert frames.box_xyxy is not None
    for i, maps in enumerate(heatmaps.cpu().numpy()):
        height, width = maps.shape[1:]
        to_image = cv2.invertAffineTransform(frames.matrix[i])
        points, scores = np.zeros((len(maps), 2), np.float32), np.zeros(len(maps), np.float32)
        for k, heatmap in enumerate(maps):
            y, x = divmod(int(heatmap.argmax()), width)
            scores[k] = heatmap[y, x]
            cell = np.array([x, y], np.float64) * (scores[k] > 0)
            if scores[k] > 0 and 1 < x < width - 1 and 1 < y < height - 1:
                cell[0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
                cell[1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
            points[k] = to_image @ np.array([*(cell * stride), 1.0])
        people.append(
            Objects(frames.box_xyxy[i : i + 1], np.zeros(1, np.int64), points=points[None], point_scores=scores[None])
        )
    return people


def make_results(scheme: KeypointScheme, folder: Path, people: int) -> tuple[CocoKeypoints, list[Objects]]:
    """Invent predictions, `PEOPLE_PER_IMAGE` an image of whom a few are found twice, and annotations to score them.

    Args:
        scheme: of the keypoints.
        folder: where the annotations go.
        people: how many predictions.

    Returns:
        the annotations, whose crops are the boxes of the predictions, and a record a crop.
    """
    rng = np.random.default_rng(0)
    images = -(-people // PEOPLE_PER_IMAGE)
    content = describe_people(rng, scheme, images, ANNOTATED_PER_IMAGE)
    shape = (images, -1, len(scheme.names), 3)
    truth = np.array([a["keypoints"] for a in content["annotations"]], np.float64).reshape(shape)[..., :2]
    # The annotated people come first, each found twice, then strangers.
    boxes = place_boxes(rng, images * (PEOPLE_PER_IMAGE - 2 * ANNOTATED_PER_IMAGE))
    strangers = place_keypoints(rng, scheme, boxes).reshape(*shape[:3], 2)
    points = np.concatenate([truth, truth, strangers], axis=1).reshape(-1, len(scheme.names), 2)[:people]
    points = (points + rng.normal(0, 2, points.shape)).astype(np.float32)
    point_scores = rng.uniform(0, 1, points.shape[:2]).astype(np.float32)
    corners, extents = points.min(axis=1), np.ptp(points, axis=1)
    detections = [
        {"image_id": i // PEOPLE_PER_IMAGE + 1, "category_id": 1, "bbox": box, "score": score}
        for i, (box, score) in enumerate(
            zip(np.hstack([corners, extents]).tolist(), rng.uniform(0.1, 1, people).tolist(), strict=True)
        )
    ]
    (folder / "annotations.json").write_text(json.dumps(content))
    (folder / "boxes.json").write_text(json.dumps(detections))
    samples = CocoKeypoints(
        data_root=str(folder),
        ann_file="annotations.json",
        image_dir="images",
        box_file="boxes.json",
        scheme=scheme,
    )
    crops = samples.crops()
    assert crops is not None
    areas = 1.25**2 * extents.astype(np.float64).prod(axis=1)
    labels = np.zeros(people, np.int64)
    found = Objects(crops.boxes_xyxy, labels, crops.scores, points, point_scores=point_scores, areas=areas)
    return samples, [found.select(slice(i, i + 1)) for i in range(people)]


def evaluate(
    samples: CocoKeypoints, records: list[Objects], threshold: float = 0.2, nms_threshold: float = 0.9
) -> dict[str, float]:
    """Rescore person by person, remove duplicates pair by pair, and let pycocotools compute average precision.

    Args:
        samples: with the file of the annotations.
        records: one person a crop.
        threshold: keypoint scores up to this one do not count.
        nms_threshold: similarity above which the lower score goes.
    """
    sigmas = np.array(samples.scheme.sigmas)
    by_image: dict[int, list[tuple[float, Objects]]] = {}
    crops = samples.crops()
    assert crops is not None
    for person, sample in zip(records, crops.samples.tolist(), strict=True):
        assert person.scores is not None and person.point_scores is not None
        total, counted = 0.0, 0
        for score in person.point_scores[0]:
            if score > threshold:
                total, counted = total + float(score), counted + 1
        score = float(person.scores[0]) * (total / counted if counted else 0.0)
        by_image.setdefault(samples.images.ids[sample].item(), []).append((score, person))

    detections = []
    for image_id, people in by_image.items():
        waiting = sorted(people, key=lambda entry: -entry[0])
        while waiting:
            score, best = waiting.pop(0)
            waiting = [other for other in waiting if _oks(best, other[1], (2 * sigmas) ** 2) <= nms_threshold]
            assert best.points is not None and best.point_scores is not None
            triplets = np.column_stack([best.points[0], best.point_scores[0]]).astype(float)
            detections.append(
                {"image_id": image_id, "category_id": 1, "keypoints": triplets.ravel().tolist(), "score": score}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(samples.findings.where)
        evaluation = COCOeval(truth, truth.loadRes(detections), "keypoints")
        evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"AP": float(evaluation.stats[0])}


def _oks(a: Objects, b: Objects, variances: np.ndarray) -> float:
    assert a.points is not None and b.points is not None and a.areas is not None and b.areas is not None
    area = (a.areas[0] + b.areas[0]) / 2 + np.spacing(1)
    squared = ((a.points[0].astype(np.float64) - b.points[0]) ** 2).sum(axis=1)
    return float(np.exp(-squared / variances / area / 2).mean())
