"""Landmarks of faces, one after the other, after the released code of HRNet for faces (arXiv:1908.07919)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from hrtoolkit.findings import Findings
from hrtoolkit.frames import Warp
from hrtoolkit.keypoints.samples import KeypointSamples, People
from hrtoolkit.records import Objects
from hrtoolkit.samples import Images
from hrtoolkit.schemes import KeypointScheme


def decode(heatmaps: Tensor, frames: Warp, stride: int = 4) -> list[Objects]:
    """Read landmarks one by one: the highest cell, a quarter towards its higher neighbour, and half a cell.

    Args:
        heatmaps: [B, K, H, W].
        frames: of the crops.
        stride: input pixels a cell.

    Returns:
        one face a crop, with `points` in image pixels, without fraction and one added, and `point_scores`.
    """
    faces = []
    assert frames.box_xyxy is not None
    for i, maps in enumerate(heatmaps.cpu().numpy()):
        height, width = maps.shape[1:]
        to_image = cv2.invertAffineTransform(frames.matrix[i])
        points, scores = np.zeros((len(maps), 2), np.float32), np.zeros(len(maps), np.float32)
        for k, heatmap in enumerate(maps):
            y, x = divmod(int(heatmap.argmax()), width)
            scores[k] = heatmap[y, x]
            cell = np.array([x, y], np.float64) if scores[k] > 0 else np.array([-1.0, -1.0])
            if scores[k] > 0 and 0 < x < width - 1 and 0 < y < height - 1:
                cell[0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
                cell[1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
            points[k] = np.trunc(to_image @ np.array([*((cell + 0.5) * stride), 1.0])) + 1
        faces.append(
            Objects(frames.box_xyxy[i : i + 1], np.zeros(1, np.int64), points=points[None], point_scores=scores[None])
        )
    return faces


def make_results(scheme: KeypointScheme, folder: Path, faces: int) -> tuple[KeypointSamples, list[Objects]]:
    """Invent predictions and what is annotated; nothing is written.

    Args:
        scheme: of the landmarks.
        folder: what messages name.
        faces: how many.

    Returns:
        the annotations, and a record a face.
    """
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 200, (faces, len(scheme.names), 2)).astype(np.float32)
    boxes = np.concatenate([truth.min(axis=1), truth.max(axis=1)], axis=1).astype(np.float64)
    samples = KeypointSamples(
        scheme=scheme,
        images=Images(np.full(faces, b""), np.arange(faces), np.full((faces, 2), 200)),
        people=People(boxes, truth, np.ones(truth.shape[:2], np.uint8), sizes=_sizes(scheme, truth)),
        findings=Findings(folder),
        subsets={"pose": rng.random(faces) < 0.1},
    )
    points = (truth + rng.normal(0, 4, truth.shape)).astype(np.float32)
    labels = np.zeros(1, np.int64)
    return samples, [Objects(boxes[i : i + 1], labels, points=points[i : i + 1]) for i in range(faces)]


def _sizes(scheme: KeypointScheme, points: np.ndarray) -> np.ndarray:
    if scheme.nme_reference == "box":
        return np.full(len(points), 200.0)
    first, second = (points[:, scheme.names.index(name)].astype(np.float64) for name in scheme.nme_reference)
    return np.linalg.norm(first - second, axis=1)


def evaluate(samples: KeypointSamples, records: list[Objects]) -> dict[str, float]:
    """Measure face by face and landmark by landmark.

    Args:
        samples: the annotations.
        records: one a face.
    """
    errors = []
    assert samples.people is not None and samples.people.sizes is not None
    for face, truth, size in zip(records, samples.people.points, samples.people.sizes, strict=True):
        total = 0.0
        assert face.points is not None
        for point, true in zip(face.points[0].astype(np.float64), truth, strict=True):
            total += np.linalg.norm(point - true)
        errors.append(total / (size * len(truth)))
    return {"NME": float(np.mean(errors))}
