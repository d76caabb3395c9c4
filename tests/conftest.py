"""What several test files need: seeded tensors, a small COCO folder, and the real data where it is at hand."""

import json
import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrtoolkit.schemes.people import COCO

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of small real data sets, named by HRTOOLKIT_TEST_DATA; tests that ask for it skip without."""
    folder = os.environ.get("HRTOOLKIT_TEST_DATA")
    if not folder:
        pytest.skip("HRTOOLKIT_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture(autouse=True)
def fresh_logger() -> None:
    """Undo what commands changed in hrtoolkit's logger, in earlier tests and in fixtures, so that tests hear it."""
    logger = logging.getLogger("hrtoolkit")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def coco_folder(tmp_path) -> Path:
    """Three images, five annotations: two people in one image, one in another, a crowd, one without keypoints."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image_id in (11, 12, 13):
        image = cv2.GaussianBlur(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 3)
        images.append({"id": image_id, "file_name": f"{image_id}.jpg", "width": 160, "height": 120})
        (tmp_path / "images").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / f"{image_id}.jpg"), image)

    def add(image_id, box, visible, crowd=0):
        x, y, w, h = box
        points = rng.uniform((x, y), (x + w, y + h), (17, 2)).round(1)
        keypoints = [value for (px, py), v in zip(points, visible, strict=True) for value in (px * v, py * v, 2 * v)]
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": 1,
                "bbox": list(box),
                "area": 0.6 * w * h,
                "iscrowd": crowd,
                "keypoints": keypoints,
                "num_keypoints": int(sum(visible)),
            }
        )

    everything = [1] * 17
    add(12, (30, 20, 50, 80), everything)
    add(11, (10, 10, 40, 90), everything)
    add(11, (70, 20, 60, 90), [1, 0] * 8 + [1])
    add(13, (5, 5, 100, 100), [0] * 17, crowd=1)
    add(13, (20, 20, 50, 50), [0] * 17)
    skeleton = [[COCO.names.index(a) + 1, COCO.names.index(b) + 1] for a, b in COCO.skeleton]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.names), "skeleton": skeleton}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (tmp_path / "people.json").write_text(json.dumps(content))
    return tmp_path


def edit_json(path: Path, change) -> None:
    """Apply `change(content)` to a json file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
