"""Face alignment as a plain pipeline that treats one face after the other, with data to run it on.

After the released code of HRNet for faces (arXiv:1908.07919): each face reads its image anew, normalisation happens on
the CPU, and Python loops decode heatmaps and measure errors. Crops are one affine warp, as in the toolkit.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmengine import Config

from hrtoolkit.data.toy_faces import make_landmarks
from tasks.face.layouts import WFLW_98
from tests.reference.pose import crop, decode, image_files, read

__all__ = ["crop", "decode", "evaluate", "image_files", "make_results", "original", "read", "write_data"]

IMAGE_HW = (768, 1024)  # the size of most images of WFLW


def write_data(ann_file: Path, image_folder: Path, images: int = 24, faces: int = 4) -> None:
    """Write images of noise with a few faces each, in WFLW's format.

    Args:
        ann_file: where the list goes.
        image_folder: where the images go.
        images: how many.
        faces: on each of them.
    """
    rng = np.random.default_rng(0)
    image_folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(images):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (*IMAGE_HW, 3), dtype=np.uint8), (0, 0), 1.5)
        cv2.imwrite(str(image_folder / f"{number}.jpg"), noise)
        for _ in range(faces):
            head = make_landmarks(rng)[:, :2]
            points = np.concatenate([head, head[:30] * 0.9]) * rng.uniform(20, 80)
            points += rng.uniform(250, 500, 2)
            lines.append(
                " ".join([*(f"{value:.3f}" for value in points.ravel()), *"0" * 4, *"100010", f"{number}.jpg"])
            )
    ann_file.parent.mkdir(parents=True, exist_ok=True)
    ann_file.write_text("\n".join(lines))


def original(config: Config) -> Config:
    """The published code enlarges all maps to the finest one, joins them, and convolves what it gets."""
    config.model.neck = {"type": "Concat"}
    return config


def make_results(ann_file: Path, faces: int) -> tuple[dict, list[dict]]:
    """Invent predictions and the annotations to score them; `ann_file` stays unwritten.

    Args:
        ann_file: what messages name.
        faces: how many.

    Returns:
        the metric's `dataset_meta`, and one dict a prediction.
    """
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 200, (faces, 98, 2))
    meta = {
        "layout": WFLW_98,
        "keypoints": truth,
        "visible": np.ones((faces, 98)),
        "box_sizes": np.ones(faces),
        "subsets": {"pose": rng.random(faces) < 0.1},
        "ann_file": str(ann_file),
    }
    points = truth + rng.normal(0, 4, truth.shape)
    return meta, [{"index": i, "image_id": i, "keypoints": points[i]} for i in range(faces)]


def evaluate(meta: dict, results: list[dict]) -> dict[str, float]:
    """Measure face by face and landmark by landmark.

    Args:
        meta: of the data, as the metric takes it.
        results: one dict a face.
    """
    a, b = (meta["layout"].names.index(name) for name in meta["layout"].nme_reference)
    errors = []
    for face in results:
        truth = meta["keypoints"][face["index"]]
        size = np.linalg.norm(truth[a] - truth[b])
        total = 0.0
        for point, true in zip(face["keypoints"], truth, strict=True):
            total += np.linalg.norm(point - true)
        errors.append(total / (size * len(truth)))
    return {"NME": float(np.mean(errors))}
