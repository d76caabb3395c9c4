"""People or faces in images, in flat arrays.

One sample is one person. At test time people of one image are neighbours, and the image is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from hrtoolkit.data.doctor import Finding, ImageFiles
from hrtoolkit.data.loading import Draw
from hrtoolkit.data.reading import read_image
from hrtoolkit.structures import KeypointLayout
from hrtoolkit.visualization import draw_keypoints


class People(NamedTuple):
    """N people, those of one image side by side."""

    images: np.ndarray  # [N] int32, which image each person is in
    centers: np.ndarray  # [N, 2] float32, (x, y) of each person's window in image pixels
    sizes: np.ndarray  # [N, 2] float32, width and height of the window, padded
    keypoints: np.ndarray  # [N, K, 2] float32, (x, y) in image pixels
    visible: np.ndarray  # [N, K] uint8, above 0 where a keypoint is labelled
    boxes: np.ndarray  # [N, 4] float32, left, top, width, height, as annotated or detected
    box_scores: np.ndarray  # [N] float32, 1 for annotated people


class KeypointDataset(Dataset):
    """People or faces as flat arrays, cropped by a transform; a subclass reads one annotation format.

    Args:
        layout: of the keypoints.
        transform: crops one person, such as `TopDownAffine`.
        image_paths: of M images.
        image_ids: M ids, as the annotations have them.
        image_sizes: [M, 2] width and height as annotated, 0 where annotations do not tell.
        people: who the samples are.
        annotated: who is annotated, where that is somebody else; None takes `people`.
        findings: what is wrong with the files.
    """

    def __init__(
        self,
        layout: KeypointLayout,
        transform: Callable[..., dict],
        image_paths: Iterable[Path],
        image_ids: Sequence[int | str] | np.ndarray,
        image_sizes: np.ndarray,
        people: People,
        annotated: People | None,
        findings: list[Finding],
    ):
        self.layout = layout
        self.transform = transform
        # Everything lies in few arrays: loader workers share them instead of touching a million Python objects.
        self.image_paths = np.array([str(path).encode() for path in image_paths])
        self.image_ids = np.array(image_ids)
        self.image_sizes = image_sizes.astype(np.int32)
        self.person_images, self.centers, self.sizes, self.keypoints, self.visible, self.boxes, self.box_scores = people
        self.annotated = people if annotated is None else annotated
        # Files may have NaN there, which no weight of zero would undo.
        self.annotated.keypoints[self.annotated.visible == 0] = 0
        self.findings = findings
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

    def draw_sample(self, sample: dict) -> np.ndarray:
        """Draw one sample as the network gets it, with its keypoints, RGB uint8 [h, w, 3]."""
        targets = sample["targets"]
        return draw_keypoints(sample["image"], targets["keypoints"][None], targets["visible"][None] > 0, self.layout)

    def true_keypoints(self, image: int) -> tuple[np.ndarray, np.ndarray]:
        """Annotated keypoints [N, K, 2] of the image at a position, and which of them are labelled [N, K]."""
        in_image = self.annotated.images == image
        return self.annotated.keypoints[in_image], self.annotated.visible[in_image] > 0

    def truth(self) -> list[dict]:
        """The annotated people in the form of predictions, which the metric must find perfect."""
        people = self.annotated
        labelled = people.visible[..., None] > 0
        # A keypoint that is not labelled goes to the middle of the others: it must not make two people look alike.
        middle = (people.keypoints * labelled).sum(axis=1, keepdims=True) / np.maximum(labelled.sum(axis=1), 1)[:, None]
        keypoints = np.where(labelled, people.keypoints, middle)
        image_ids = self.image_ids[people.images].tolist()
        return [
            {
                "index": index,
                "image_id": image_id,
                "keypoints": keypoints[index],
                "scores": labelled[index, :, 0].astype(np.float32),
                "box": people.boxes[index],
                "box_score": 1.0,
                "area": float(people.sizes[index].prod()),
            }
            for index, image_id in enumerate(image_ids)
        ]

    def image_files(self) -> ImageFiles:
        """The images that have people."""
        used = np.unique(self.person_images)
        return ImageFiles(self.image_paths[used], self.image_ids[used], self.image_sizes[used])

    def head_arguments(self) -> dict:
        """What a head that leaves it open takes from the data."""
        return {"layout": asdict(self.layout)}
