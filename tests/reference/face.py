"""Face alignment as a plain pipeline that treats one face after the other, with data to run it on.

After the released code of HRNet for faces (arXiv:1908.07919): each face reads its image anew, normalisation happens on
the CPU, and Python loops decode heatmaps and measure errors. Crops are one affine warp, as in the toolkit.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from hrtoolkit.tasks.face.layouts import WFLW_98
from mmengine import Config
from torch import Tensor

from hrtoolkit.layouts import resolve_layout
from tests.reference.pose import read, warp

__all__ = ["crop", "decode", "evaluate", "make_results", "original", "read", "write_data"]

IMAGE_HW = (768, 1024)  # the size of most images of WFLW


def write_data(options: dict, folder: Path, images: int = 24, faces: int = 4) -> dict:
    """Write images of noise with a few faces each, in COCO's format with the landmarks of the dataset.

    Args:
        options: of a dataset of faces.
        folder: where everything goes.
        images: how many.
        faces: on each of them.

    Returns:
        options of a dataset that reads them.
    """
    layouts = {"Face300W": "300w", "WFLW": "wflw", "COFW": "cofw", "AFLW": "aflw"}
    layout = resolve_layout(layouts.get(options["type"]) or options["layout"])
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    height, width = IMAGE_HW
    for number in range(images):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 1.5)
        cv2.imwrite(str(folder / f"images/{number}.jpg"), noise)
    annotations = []
    for number in range(images * faces):
        center, size = rng.uniform((250, 250), (width - 250, height - 250)), rng.uniform(40, 400)
        points = center + size * rng.uniform(-0.5, 0.5, (len(layout.names), 2))
        triplets = np.column_stack([points, np.full(len(points), 2)])
        annotations.append(
            {"id": number + 1, "image_id": number // faces, "category_id": 1, "keypoints": triplets.ravel().tolist()}
        )
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": width, "height": height} for i in range(images)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "face", "keypoints": list(layout.names)}],
    }
    (folder / "faces.json").write_text(json.dumps(content))
    return {"type": "CocoFaces", "data_root": str(folder), "ann_file": "faces.json", "transform": options["transform"]}


def crop(dataset, index: int, mean: list[float], std: list[float]) -> Tensor:
    """Read a face's image, cut the face out, and normalise it.

    Args:
        dataset: of faces.
        index: of the face.
        mean: of each RGB channel, 0..255.
        std: of each RGB channel.

    Returns:
        float [3, h, w].
    """
    return warp(dataset.load_image(dataset.person_images[index]), dataset, index, mean, std)


def decode(heatmaps: Tensor, meta: list[dict], stride: int = 4) -> list[dict]:
    """Read landmarks one by one: the highest cell, a quarter towards its higher neighbour, and half a cell.

    Args:
        heatmaps: [B, K, H, W].
        meta: one dict a face with its `matrix`, image to input pixels.
        stride: input pixels a cell.

    Returns:
        each dict of `meta` with `keypoints` [K, 2] in image pixels, without fraction and one added, and `scores` [K].
    """
    faces = []
    for maps, face in zip(heatmaps.cpu().numpy(), meta, strict=True):
        height, width = maps.shape[1:]
        to_image = cv2.invertAffineTransform(face["matrix"])
        points, scores = np.zeros((len(maps), 2), np.float32), np.zeros(len(maps), np.float32)
        for k, heatmap in enumerate(maps):
            y, x = divmod(int(heatmap.argmax()), width)
            scores[k] = heatmap[y, x]
            cell = np.array([x, y], np.float64) if scores[k] > 0 else np.array([-1.0, -1.0])
            if scores[k] > 0 and 0 < x < width - 1 and 0 < y < height - 1:
                cell[0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
                cell[1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
            points[k] = np.trunc(to_image @ np.array([*((cell + 0.5) * stride), 1.0])) + 1
        faces.append({**face, "keypoints": points, "scores": scores})
    return faces


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
        "box_sizes": np.full(faces, 100.0),
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
