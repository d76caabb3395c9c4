"""Data for a benchmark whose own are not at hand: real JPEGs, invented people, objects, label maps and classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy import ndarray

from hrtoolkit.errors import UserError
from hrtoolkit.keypoints.samples import KeypointSamples
from hrtoolkit.schemes import ClassScheme, Scheme
from hrtoolkit.tasks.classification.datasets import LabelledImages
from hrtoolkit.tasks.detection.datasets import DetectionSamples
from hrtoolkit.tasks.face.datasets import FaceSamples
from hrtoolkit.tasks.segmentation.datasets import SegmentationPairs
from hrtoolkit.toy.scenes import make_scene

IMAGES = 12
IMAGE_HW = (476, 588)  # the mean size of COCO's images
PEOPLE_PER_IMAGE = 20  # as many boxes as the published detections of val2017 have, on average
LABELLED_HW = (512, 1024)  # of images with label maps: half of those of Cityscapes
FACE_IMAGES, FACES_PER_IMAGE = 24, 4
FACE_IMAGE_HW = (768, 1024)  # the size of most images of WFLW


def make_up(dataset: type, scheme: Scheme, folder: Path) -> dict:
    """Write images and what is annotated in them.

    Args:
        dataset: in whose place they are read.
        scheme: of what is annotated.
        folder: where everything goes.

    Returns:
        options of a data set that reads them.

    Raises:
        UserError: nobody knows what a data set of this class holds.
    """
    write = next((write for kind, write in WRITERS.items() if issubclass(dataset, kind)), None)
    if write is None:
        raise UserError(f"there are no made-up data in place of {dataset.__name__}: name a folder with --data-root")
    (folder / "images").mkdir(parents=True)
    return {"data_root": str(folder), **write(scheme, folder)}


def write_people(scheme: Scheme, folder: Path) -> dict:
    """A crowd in each image, in COCO's format."""
    rng = np.random.default_rng(0)
    _write_scenes(rng, folder, IMAGE_HW)
    content = describe_people(rng, scheme, IMAGES, PEOPLE_PER_IMAGE)
    (folder / "people.json").write_text(json.dumps(content))
    return {"type": "CocoKeypoints", "ann_file": "people.json", "image_dir": "images"}


def write_faces(scheme: Scheme, folder: Path) -> dict:
    """A few faces in each image of noise, in COCO's format."""
    rng = np.random.default_rng(0)
    height, width = FACE_IMAGE_HW
    for number in range(1, FACE_IMAGES + 1):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 1.5)
        cv2.imwrite(str(folder / "images" / f"{number:012d}.jpg"), noise)
    faces = FACE_IMAGES * FACES_PER_IMAGE
    corners, sizes = rng.uniform((50, 50), (width - 450, height - 450), (faces, 2)), rng.uniform(40, 400, (faces, 1))
    boxes = np.concatenate([corners, sizes, sizes], axis=1)
    content = describe(scheme, FACE_IMAGES, FACE_IMAGE_HW, boxes, place_keypoints(rng, scheme, boxes))
    (folder / "faces.json").write_text(json.dumps(content))
    return {"type": "CocoFaces", "ann_file": "faces.json", "image_dir": "images"}


def write_objects(scheme: Scheme, folder: Path) -> dict:
    """Rectangular objects of all classes in each image, in COCO's format."""
    rng = np.random.default_rng(0)
    _write_scenes(rng, folder, IMAGE_HW)
    content = describe(scheme, IMAGES, IMAGE_HW, place_boxes(rng, IMAGES * PEOPLE_PER_IMAGE))
    content["categories"] = [{"id": i, "name": name} for i, name in enumerate(scheme.names, start=1)]
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        annotation["category_id"] = int(rng.integers(len(scheme.names))) + 1
        annotation["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    (folder / "objects.json").write_text(json.dumps(content))
    return {"type": "CocoDetection", "ann_file": "objects.json", "image_dir": "images"}


def write_label_maps(scheme: Scheme, folder: Path) -> dict:
    """Segments of 32 pixels of all classes."""
    assert isinstance(scheme, ClassScheme)
    rng = np.random.default_rng(0)
    _write_scenes(rng, folder, LABELLED_HW)
    (folder / "labels").mkdir()
    height, width = LABELLED_HW
    for number in range(1, IMAGES + 1):
        coarse = rng.integers(0, len(scheme.names), (height // 32, width // 32))
        labels = scheme.decode(coarse).repeat(32, axis=0).repeat(32, axis=1)
        cv2.imwrite(str(folder / "labels" / f"{number:012d}.png"), labels)
    return {"type": "SegmentationPairs", "image_dir": "images", "label_dir": "labels"}


def write_classes(scheme: Scheme, folder: Path) -> dict:
    """A list of images of all classes."""
    _write_scenes(np.random.default_rng(0), folder, IMAGE_HW)
    names = [scheme.names[number * len(scheme.names) // IMAGES] for number in range(IMAGES)]
    lines = [f"{number:012d}.jpg\t{name}\n" for number, name in enumerate(names, start=1)]
    (folder / "images.txt").write_text("".join(lines))
    return {"type": "ImageList", "ann_file": "images.txt", "image_dir": "images"}


WRITERS: dict[type, Callable[[Scheme, Path], dict]] = {
    FaceSamples: write_faces,
    KeypointSamples: write_people,
    DetectionSamples: write_objects,
    SegmentationPairs: write_label_maps,
    LabelledImages: write_classes,
}


def _write_scenes(rng: np.random.Generator, folder: Path, image_hw: tuple[int, int]) -> None:
    for number in range(1, IMAGES + 1):
        image = make_scene(rng, image_hw).image
        # Noise that makes a file of 160 kB, the mean of COCO's: reading takes as long.
        noise = rng.normal(0, 12, image_hw).astype(np.int16)
        image = cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U)
        cv2.imwrite(str(folder / "images" / f"{number:012d}.jpg"), image[..., ::-1])


def describe_people(rng: np.random.Generator, scheme: Scheme, images: int, people_per_image: int) -> dict:
    """What a file in COCO's format says of people anywhere in images of `IMAGE_HW`.

    Args:
        rng: says where they are.
        scheme: of their keypoints.
        images: how many.
        people_per_image: how many in each.
    """
    boxes = place_boxes(rng, images * people_per_image)
    return describe(scheme, images, IMAGE_HW, boxes, place_keypoints(rng, scheme, boxes))


def place_boxes(rng: np.random.Generator, count: int) -> ndarray:
    """Boxes [N, 4] (left, top, width, height), as large as people are, somewhere in an image of `IMAGE_HW`."""
    sizes = rng.uniform((30, 60), (150, 300), (count, 2))
    return np.concatenate([rng.uniform(0, np.array(IMAGE_HW[::-1]) - sizes), sizes], axis=1)


def place_keypoints(rng: np.random.Generator, scheme: Scheme, boxes_xywh: ndarray) -> ndarray:
    """Keypoints [N, K, 2] somewhere in boxes [N, 4]."""
    return (
        boxes_xywh[:, None, :2] + rng.uniform(0, 1, (len(boxes_xywh), len(scheme.names), 2)) * boxes_xywh[:, None, 2:]
    )


def describe(
    scheme: Scheme, images: int, image_hw: tuple[int, int], boxes_xywh: ndarray, keypoints: ndarray | None = None
) -> dict:
    """Write annotations, as many in each image, in COCO's format.

    Args:
        scheme: of the keypoints.
        images: how many.
        image_hw: their height and width.
        boxes_xywh: [N, 4] left, top, width, height, those of an image side by side.
        keypoints: [N, K, 2].
    """
    height, width = image_hw
    each = len(boxes_xywh) // images
    annotations = [
        {"id": i + 1, "image_id": i // each + 1, "category_id": 1, "bbox": box, "area": 0.6 * box[2] * box[3]}
        for i, box in enumerate(boxes_xywh.tolist())
    ]
    if keypoints is not None:
        flags = np.full((*keypoints.shape[:2], 1), 2.0)
        triplets = np.concatenate([keypoints, flags], axis=-1).round(1).reshape(len(keypoints), -1)
        for annotation, triplet in zip(annotations, triplets.tolist(), strict=True):
            annotation.update(iscrowd=0, keypoints=triplet, num_keypoints=keypoints.shape[1])
    return {
        "images": [
            {"id": number, "file_name": f"{number:012d}.jpg", "width": width, "height": height}
            for number in range(1, images + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(scheme.names)}],
    }
