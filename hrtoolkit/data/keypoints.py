"""People or faces in images, in flat arrays.

One sample is one person. At test time people of one image are neighbours, and the image is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from hrtoolkit.data.loading import Draw
from hrtoolkit.data.reading import read_image
from hrtoolkit.structures import KeypointLayout
from hrtoolkit.visualization import draw_keypoints


class KeypointDataset(Dataset):
    """People or faces as flat arrays, cropped by a transform; a subclass reads one annotation format.

    Args:
        layout: of the keypoints.
        transform: crops one person, such as `TopDownAffine`.
        image_paths: of M images.
        image_ids: M ids, as the annotations have them.
        person_images: [N] which image each person is in, ascending.
        centers: [N, 2] (x, y) of each person's window in image pixels.
        sizes: [N, 2] width and height of the window, padded.
        keypoints: [N, K, 2] (x, y) in image pixels.
        visible: [N, K], above 0 where a keypoint is labelled.
        boxes: [N, 4] left, top, width, height, as annotated or detected.
        box_scores: [N], 1 for annotated people.
    """

    def __init__(
        self,
        layout: KeypointLayout,
        transform: Callable[..., dict],
        image_paths: Sequence[Path],
        image_ids: Sequence[int | str],
        person_images: np.ndarray,
        centers: np.ndarray,
        sizes: np.ndarray,
        keypoints: np.ndarray,
        visible: np.ndarray,
        boxes: np.ndarray,
        box_scores: np.ndarray,
    ):
        self.layout = layout
        self.transform = transform
        # Byte strings in one array: loader workers share it instead of touching a million Python objects.
        self.image_paths = np.array([str(path).encode() for path in image_paths])
        self.image_ids = np.array(image_ids)
        self.person_images = person_images.astype(np.int32)
        self.centers = centers.astype(np.float32)
        self.sizes = sizes.astype(np.float32)
        self.keypoints = keypoints.astype(np.float32)
        self.visible = visible.astype(np.uint8)
        self.boxes = boxes.astype(np.float32)
        self.box_scores = box_scores.astype(np.float32)
        self._last_image: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        return len(self.person_images)

    def __getitem__(self, key: int | Draw) -> dict:
        """Crop one person: as annotated for an int, augmented for a `Draw`."""
        index, rng = (key.index, key.generator()) if isinstance(key, Draw) else (int(key), None)
        crop = self.transform(
            self.read_image(self.person_images[index]),
            self.centers[index].astype(np.float64),
            self.sizes[index],
            self.keypoints[index].astype(np.float64),
            self.visible[index],
            self.layout,
            rng,
        )
        meta = {
            "index": index,
            "image_id": self.image_ids[self.person_images[index]].item(),
            "matrix": crop["matrix"],
            "area": crop["area"],
            "box": self.boxes[index],
            "box_score": float(self.box_scores[index]),
        }
        targets = {"keypoints": crop["keypoints"], "visible": crop["visible"]}
        return {"image": crop["image"], "targets": targets, "meta": meta}

    def read_image(self, image: int) -> np.ndarray:
        """Read an image by its position; the last one is kept for the next person in it."""
        if self._last_image[0] != image:
            self._last_image = (image, self.load_image(image))
        return self._last_image[1]

    def load_image(self, image: int) -> np.ndarray:
        """Load an image by its position, RGB uint8 [H, W, 3]; a format that keeps images elsewhere has its own way."""
        return read_image(self.image_paths[image].decode())

    def draw(self, predictions: list[dict], score_threshold: float = 0.2) -> np.ndarray:
        """Draw the predictions of one image beside its annotations, RGB uint8 [H, W, 3]: truth left, prediction right.

        Args:
            predictions: of one image, with `index`, `keypoints` and `scores`.
            score_threshold: keypoints below it are not drawn.
        """
        position = int(self.person_images[predictions[0]["index"]])
        image = self.read_image(position)
        truth = draw_keypoints(image, *self.true_keypoints(position), self.layout)
        points = np.stack([prediction["keypoints"] for prediction in predictions])
        shown = np.stack([prediction["scores"] for prediction in predictions]) > score_threshold
        return np.hstack([truth, draw_keypoints(image, points, shown, self.layout)])

    def true_keypoints(self, image: int) -> tuple[np.ndarray, np.ndarray]:
        """Annotated keypoints [N, K, 2] of the image at a position, and which of them are labelled [N, K]."""
        in_image = self.person_images == image
        return self.keypoints[in_image], self.visible[in_image] > 0

    def head_arguments(self) -> dict:
        """What a head that leaves it open takes from the data."""
        return {"layout": asdict(self.layout)}
