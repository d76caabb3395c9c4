"""A small COCO folder of objects, and models small enough to test with."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config

import hrtoolkit.tasks.detection  # noqa: F401 (registers its parts)
from hrtoolkit.build import build_model
from hrtoolkit.frames import Resized
from hrtoolkit.masks import Masks

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, init="kaiming")
ROIS, DETECTIONS = 32, 20
CLASSES = ["cat", "dog", "cow"]


def tiny_model(head=None, **options):
    """A detector of all parts in small, with weights that depend on nothing but these options; few RoIs save time."""
    head = dict(type="FasterRCNNHead", scheme=CLASSES, roi_samples=ROIS) | (head or {})
    parts = dict(backbone=TINY, neck=dict(type="Pyramid", channels=8), head=head, view=dict(type="FitInside"))
    torch.manual_seed(0)
    model = build_model(Config(dict(model=parts | options)))
    for stage in model.head.stages:
        stage.detections_per_img = DETECTIONS
    return model


def make_target(boxes, labels, input_hw, masks=False):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    target = {"boxes": boxes, "labels": torch.tensor(labels, dtype=torch.int64)}
    if masks:
        target["masks"] = torch.zeros(len(boxes), *input_hw, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(target["masks"], boxes.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
    return target


def make_frames(sizes, image_hw=None, last_pixel=False):
    """Frames of inputs of these heights and widths, of images of the same size or another one."""
    frames = [
        Resized(
            image_hw=image_hw or size,
            input_hw=size,
            mirror=False,
            scaled_hw=size,
            window=(0, 0, *size[::-1]),
            content=size,
            last_pixel=last_pixel,
        )
        for size in sizes
    ]
    return Resized.stack(frames)


def decode_masks(masks, size_hw):
    return Masks(size_hw, masks).draw().astype(bool)


def rectangle(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


@pytest.fixture
def objects_folder(tmp_path) -> Path:
    """Five images of three shapes: two with objects, one with a crowd, one empty, one smaller than 32 pixels."""
    rng = np.random.default_rng(0)
    sizes = {21: (120, 160), 22: (160, 120), 23: (120, 160), 24: (100, 100), 25: (30, 40)}  # height, width
    (tmp_path / "images").mkdir()
    images = []
    for image_id, (height, width) in sizes.items():
        image = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 3)
        cv2.imwrite(str(tmp_path / "images" / f"{image_id}.png"), image)
        images.append({"id": image_id, "file_name": f"{image_id}.png", "width": width, "height": height})
    annotations = []

    def add(image_id, category_id, box, crowd=0, segmentation=None):
        annotations.append(
            {
                "id": len(annotations) + 101,
                "image_id": image_id,
                "category_id": category_id,
                "bbox": list(box),
                "area": box[2] * box[3],
                "iscrowd": crowd,
                "segmentation": segmentation or rectangle(*box),
            }
        )

    add(22, 7, (10, 20, 50, 60))
    add(21, 3, (20, 30, 40, 50))
    add(21, 7, (70, 10, 60, 40))
    crowd = np.zeros((120, 160), np.uint8)
    crowd[40:80, 60:120] = 1
    counts = np.diff([0, *np.flatnonzero(np.diff(crowd.ravel("F"), prepend=0)).tolist(), crowd.size]).tolist()
    add(23, 3, (60, 40, 60, 40), 1, {"size": [120, 160], "counts": counts})
    add(23, 9, (5, 5, 30, 30))
    add(25, 3, (5, 5, 20, 20))
    categories = [{"id": 9, "name": "cow"}, {"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "objects.json").write_text(json.dumps(content))
    return tmp_path
