"""Top-down pose as a plain pipeline that treats one person after the other, with data to run it on.

After the released code of Xiao et al. (ECCV 2018) and Wang et al. (arXiv:1902.09212): each person reads its image
anew, normalisation happens on the CPU, and Python loops decode heatmaps and compare pairs of people.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
from hrtoolkit.tasks.pose import layouts
from mmengine import Config
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torchvision.transforms.functional import normalize, to_tensor

from hrtoolkit.data.toy.scenes import make_scene

IMAGE_HW = (476, 588)  # the mean size of COCO's images
PEOPLE_PER_IMAGE = 20  # as many boxes as the published detections of val2017 have, on average
ANNOTATED_PER_IMAGE = 2


def write_data(options: dict, folder: Path, images: int = 12) -> dict:
    """Write images with a crowd each in COCO's format: real JPEGs, invented people.

    Args:
        options: of a dataset of people in COCO's format.
        folder: where everything goes.
        images: how many.

    Returns:
        options of a dataset that reads them.
    """
    ann_file, image_folder = folder / options["ann_file"], folder / options["image_dir"]
    rng = np.random.default_rng(0)
    for number in range(1, images + 1):
        image = make_scene(rng, IMAGE_HW).image
        # Noise that makes a file of 160 kB, the mean of COCO's: reading takes as long.
        noise = rng.normal(0, 12, IMAGE_HW).astype(np.int16)
        image = cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U)
        image_folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image_folder / f"{number:012d}.jpg"), image[..., ::-1])
    content = _describe_images(images)
    content["annotations"] = _annotate(rng, images, PEOPLE_PER_IMAGE)
    ann_file.parent.mkdir(parents=True, exist_ok=True)
    ann_file.write_text(json.dumps(content))
    return {**options, "data_root": str(folder)}


def make_results(ann_file: Path, people: int) -> tuple[dict, list[dict]]:
    """Invent predictions, `PEOPLE_PER_IMAGE` an image of whom a few are found twice, and annotations to score them.

    Args:
        ann_file: where the annotations go.
        people: how many predictions.

    Returns:
        the metric's `dataset_meta`, and one dict a prediction.
    """
    rng = np.random.default_rng(0)
    images = -(-people // PEOPLE_PER_IMAGE)
    content = _describe_images(images)
    content["annotations"] = _annotate(rng, images, ANNOTATED_PER_IMAGE)
    ann_file.write_text(json.dumps(content))
    truth = np.array([a["keypoints"] for a in content["annotations"]], np.float64).reshape(images, -1, 17, 3)[..., :2]
    # The annotated people come first, each found twice, then strangers.
    strangers = _place_people(rng, images * (PEOPLE_PER_IMAGE - 2 * ANNOTATED_PER_IMAGE))[1].reshape(images, -1, 17, 2)
    keypoints = np.concatenate([truth, truth, strangers], axis=1).reshape(-1, 17, 2)[:people]
    keypoints = keypoints + rng.normal(0, 2, keypoints.shape)
    extent = np.ptp(keypoints, axis=1)
    results = [
        {
            "index": index,
            "image_id": index // PEOPLE_PER_IMAGE + 1,
            "keypoints": points.astype(np.float32),
            "scores": scores,
            "box_score": float(box_score),
            "area": float(area),
        }
        for index, (points, scores, box_score, area) in enumerate(
            zip(
                keypoints,
                rng.uniform(0, 1, keypoints.shape[:2]).astype(np.float32),
                rng.uniform(0.1, 1, len(keypoints)),
                1.25**2 * extent.prod(axis=1),
                strict=True,
            )
        )
    ]
    meta = {"ann_file": str(ann_file), "layout": layouts.COCO, "category_id": 1, "image_ids": None}
    return meta, results


def read(path: Path) -> np.ndarray:
    """Read an image as RGB uint8 [H, W, 3]."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), cv2.COLOR_BGR2RGB)


def crop(dataset, index: int, mean: list[float], std: list[float]) -> Tensor:
    """Read a person's image, cut the person out, and normalise it.

    Args:
        dataset: people with `image_paths`, `person_images`, `centers` and `sizes`.
        index: of the person.
        mean: of each RGB channel, 0..255.
        std: of each RGB channel.

    Returns:
        float [3, h, w].
    """
    return warp(read(Path(dataset.image_paths[dataset.person_images[index]].decode())), dataset, index, mean, std)


def warp(image: np.ndarray, dataset, index: int, mean: list[float], std: list[float]) -> Tensor:
    """Cut a person or face out of an image, RGB uint8 [H, W, 3]; else like `crop`."""
    center, (width, height) = dataset.centers[index].astype(np.float64), dataset.sizes[index].astype(np.float64)
    out_width, out_height = dataset.transform.input_size
    width = max(width, height * out_width / out_height)
    # Three points fix an affine map: the centre, the middle of the upper edge, and a corner beside it.
    middle, reach = np.array([out_width / 2, out_height / 2]), np.array([out_width / 2] * 2)
    source = np.float32([center, center - [0, width / 2], center - [width / 2, width / 2]])
    target = np.float32([middle, middle - [0, reach[1]], middle - reach])
    matrix = cv2.getAffineTransform(source, target)
    person = cv2.warpAffine(image, matrix, (out_width, out_height), flags=cv2.INTER_LINEAR)
    return normalize(to_tensor(person), [m / 255 for m in mean], [s / 255 for s in std])


def original(config: Config) -> Config:
    """The published code has the same order of operations."""
    return config


def decode(heatmaps: Tensor, meta: list[dict], stride: int = 4) -> list[dict]:
    """Read keypoints joint by joint: the highest cell, and a quarter of a cell towards its higher neighbour.

    Args:
        heatmaps: [B, K, H, W].
        meta: one dict a person with its `matrix`, image to input pixels.
        stride: input pixels a cell.

    Returns:
        each dict of `meta` with `keypoints` [K, 2] in image pixels and `scores` [K].
    """
    people = []
    for maps, person in zip(heatmaps.cpu().numpy(), meta, strict=True):
        height, width = maps.shape[1:]
        to_image = cv2.invertAffineTransform(person["matrix"])
        points, scores = np.zeros((len(maps), 2), np.float32), np.zeros(len(maps), np.float32)
        for k, heatmap in enumerate(maps):
            y, x = divmod(int(heatmap.argmax()), width)
            scores[k] = heatmap[y, x]
            cell = np.array([x, y], np.float64) * (scores[k] > 0)
            if scores[k] > 0 and 1 < x < width - 1 and 1 < y < height - 1:
                cell[0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
                cell[1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
            points[k] = to_image @ np.array([*(cell * stride), 1.0])
        people.append({**person, "keypoints": points, "scores": scores})
    return people


def evaluate(meta: dict, results: list[dict], threshold: float = 0.2, nms_threshold: float = 0.9) -> dict[str, float]:
    """Rescore person by person, remove duplicates pair by pair, and let pycocotools compute average precision.

    Args:
        meta: of the data, as the metric takes it.
        results: one dict a person.
        threshold: keypoint scores up to this one do not count.
        nms_threshold: similarity above which the lower score goes.
    """
    variances = (2 * np.array(meta["layout"].sigmas)) ** 2
    by_image: dict[int, list[dict]] = {}
    for person in results:
        total, counted = 0.0, 0
        for score in person["scores"]:
            if score > threshold:
                total, counted = total + float(score), counted + 1
        score = person["box_score"] * (total / counted if counted else 0.0)
        by_image.setdefault(person["image_id"], []).append({**person, "score": score})

    kept = []
    for people in by_image.values():
        waiting = sorted(people, key=lambda person: -person["score"])
        while waiting:
            best, rest = waiting[0], waiting[1:]
            kept.append(best)
            waiting = [other for other in rest if _oks(best, other, variances) <= nms_threshold]

    detections = [
        {
            "image_id": person["image_id"],
            "category_id": meta["category_id"],
            "keypoints": np.column_stack([person["keypoints"], person["scores"]]).astype(float).ravel().tolist(),
            "score": person["score"],
        }
        for person in kept
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(meta["ann_file"])
        evaluation = COCOeval(truth, truth.loadRes(detections), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"AP": float(evaluation.stats[0])}


def _oks(a: dict, b: dict, variances: np.ndarray) -> float:
    area = (a["area"] + b["area"]) / 2 + np.spacing(1)
    squared = ((a["keypoints"].astype(np.float64) - b["keypoints"]) ** 2).sum(axis=1)
    return float(np.exp(-squared / variances / area / 2).mean())


def _describe_images(images: int) -> dict:
    height, width = IMAGE_HW
    names = list(layouts.COCO.names)
    return {
        "images": [
            {"id": number, "file_name": f"{number:012d}.jpg", "width": width, "height": height}
            for number in range(1, images + 1)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }


def _place_people(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] (left, top, width, height) somewhere in an image, and keypoints [N, 17, 2] in each."""
    size = rng.uniform((30, 60), (150, 300), (people, 2))
    corner = rng.uniform(0, np.array(IMAGE_HW[::-1]) - size)
    keypoints = corner[:, None] + rng.uniform(0, 1, (people, 17, 2)) * size[:, None]
    return np.concatenate([corner, size], axis=1), keypoints


def _annotate(rng: np.random.Generator, images: int, people: int) -> list[dict]:
    boxes, keypoints = _place_people(rng, images * people)
    triplets = np.concatenate([keypoints, np.full((*keypoints.shape[:2], 1), 2.0)], axis=-1).round(1)
    return [
        {
            "id": number + 1,
            "image_id": number // people + 1,
            "category_id": 1,
            "bbox": box.tolist(),
            "area": float(0.6 * box[2] * box[3]),
            "iscrowd": 0,
            "keypoints": triplet.ravel().tolist(),
            "num_keypoints": 17,
        }
        for number, (box, triplet) in enumerate(zip(boxes, triplets, strict=True))
    ]
