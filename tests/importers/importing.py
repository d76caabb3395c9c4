"""Small exports of annotation tools, and what becomes of them."""

import json
from pathlib import Path

import cv2
import numpy as np

from hrtoolkit.importers import import_annotations


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_image(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 128, np.uint8))
    return path


class Read:
    """What an export became: objects by image and class, whatever file they are in."""

    def __init__(self, source: Path, out: Path, **options):
        self.imported = import_annotations(source, out, **options)
        self.text = str(self.imported)
        self.images, self.objects, self.names, self.categories = [], [], {}, {}
        for file in sorted(out.glob("*.json")):
            data = json.loads(file.read_text())
            images = {image["id"]: image for image in data["images"]}
            self.categories = {category["name"]: category for category in data["categories"]}
            labels = {category["id"]: category["name"] for category in data["categories"]}
            self.names = {name: category.get("keypoints") for name, category in self.categories.items()}
            self.images += [image["file_name"] for image in data["images"]]
            for one in data["annotations"]:
                flat = one.get("keypoints", [])
                points = [tuple(flat[i : i + 3]) for i in range(0, len(flat), 3)]
                image = Path(images[one["image_id"]]["file_name"]).name
                self.objects.append({**one, "image": image, "label": labels[one["category_id"]], "points": points})

    def of(self, image: str) -> list[dict]:
        return [one for one in self.objects if one["image"] == image]


def box(one: dict) -> list[float]:
    x, y, width, height = one["bbox"]
    return [x, y, x + width, y + height]
