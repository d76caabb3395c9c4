"""People in images: COCO keypoints (and any file in its format) and MPII, in flat arrays.

One sample is one person. At test time people of one image are neighbours, and the image is read once for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from hrtoolkit import geometry
from hrtoolkit.data.loading import Draw
from hrtoolkit.data.reading import find_image_folder, read_image, read_json
from hrtoolkit.errors import DataError
from hrtoolkit.registry import DATASETS
from hrtoolkit.structures import KeypointLayout
from hrtoolkit.visualization import draw_keypoints
from tasks.pose.layouts import MPII, complete_layout, resolve_layout

log = logging.getLogger(__name__)

REQUIRED_FIELDS = {
    "images": {"id", "file_name", "width", "height"},
    "annotations": {"id", "image_id", "category_id"},
}
PADDING = 1.25  # of every person's window, in training and at test time


class PersonDataset(Dataset):
    """People as flat arrays, cropped by a transform; a subclass reads one annotation format.

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
            self._last_image = (image, read_image(self.image_paths[image].decode()))
        return self._last_image[1]

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


@DATASETS.register_module()
class CocoKeypoints(PersonDataset):
    """COCO person keypoints, or any keypoint file in COCO's format with its own names (https://cocodataset.org).

    Kept are annotations that are no crowds, have an area, a box with extent inside the image, and a labelled keypoint;
    what is left out is logged with counts.

    Args:
        transform: crops one person.
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root` or below `data_root/images`.
        layout: "coco", or fields such as `mirrored` and `sigmas` that complete or replace what the file's category
            says; None takes names and skeleton from the file, mirror partners from left and right in the names.
        box_file: detections in COCO's results format, used instead of annotated boxes.
        category: name of the category; None takes the only one with keypoints.

    Raises:
        DataError: a file is missing or malformed, nobody is left, or keypoint counts disagree.
    """

    how_to_get = (
        "COCO 2017 is at https://cocodataset.org/#download: train2017.zip, val2017.zip and "
        "annotations_trainval2017.zip, unpacked side by side; --data-root names the folder. Without it, "
        "`python tools/make_toy_data.py` makes toy data for configs/pose/hrnet_toy.py"
    )

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        image_dir: str,
        layout: str | dict | None = None,
        box_file: str | None = None,
        category: str | None = None,
    ):
        root = Path(data_root)
        self.ann_file = root / ann_file
        content = _read_coco(self.ann_file, needs_annotations=box_file is None)
        chosen = _find_category(content["categories"], category, self.ann_file)
        self.category_id = chosen["id"]
        layout = _layout_of(chosen, layout, self.ann_file)

        images = {image["id"]: image for image in content["images"]}
        annotations = [a for a in content["annotations"] if a["category_id"] == self.category_id]
        if box_file is None:
            people = _select_annotated(annotations, images, len(layout.names), self.ann_file)
        else:
            people = _select_detected(root / box_file, images, self.category_id, len(layout.names))
        # Sorted by image, in the file's order within one.
        position = {image_id: i for i, image_id in enumerate(images)}
        person_images = np.array([position[image_id] for image_id in people["image_id"]])
        order = np.argsort(person_images, kind="stable")
        centers, sizes = geometry.box_to_center(people["window"][order])
        folder = find_image_folder(root, image_dir)
        # Detected people carry no keypoints; pictures show the annotated ones all the same.
        self._annotated: dict[int, list] = {}
        if box_file is not None:
            for annotation in annotations:
                if any(annotation.get("keypoints", ())):
                    self._annotated.setdefault(position[annotation["image_id"]], []).append(annotation["keypoints"])
        super().__init__(
            layout,
            transform,
            [folder / image["file_name"] for image in images.values()],
            list(images),
            person_images[order],
            centers,
            sizes * PADDING,
            people["keypoints"][order, :, :2],
            people["keypoints"][order, :, 2],
            people["box"][order],
            people["score"][order],
        )

    def true_keypoints(self, image: int) -> tuple[np.ndarray, np.ndarray]:
        if image not in self._annotated:
            return super().true_keypoints(image)
        keypoints = np.array(self._annotated[image], dtype=np.float32).reshape(-1, len(self.layout.names), 3)
        return keypoints[..., :2], keypoints[..., 2] > 0

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {
            "ann_file": str(self.ann_file),
            "layout": self.layout,
            "category_id": self.category_id,
            "image_ids": None,
        }


@DATASETS.register_module()
class MpiiPose(PersonDataset):
    """MPII Human Pose in the json form of the official pose code (Andriluka et al., CVPR 2014).

    Args:
        transform: crops one person.
        data_root: folder of the data set.
        ann_file: list of people with image, center, scale, joints and joints_vis, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        gt_file: gt_valid.mat for the metric, below `data_root`; None where nothing is evaluated.

    Raises:
        DataError: a file is missing or malformed, or a person lacks a field.
    """

    how_to_get = (
        "MPII's images are at http://human-pose.mpi-inf.mpg.de (mpii_human_pose_v1.tar.gz, below images/); the json "
        "files and gt_valid.mat of the HRNet authors belong below annot/; --data-root names the folder"
    )

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        image_dir: str = "images",
        gt_file: str | None = None,
    ):
        root = Path(data_root)
        people = read_json(root / ann_file)
        self.gt_file = None if gt_file is None else str(root / gt_file)
        if not isinstance(people, list) or not people:
            raise DataError(f"{root / ann_file}: expected a list of people, as in MPII's annot/train.json")
        for index, person in enumerate(people):
            if missing := {"image", "center", "scale", "joints", "joints_vis"} - person.keys():
                raise DataError(f"{root / ann_file}: person {index} lacks {sorted(missing)}")
            if len(person["joints"]) != len(MPII.names) or len(person["joints_vis"]) != len(MPII.names):
                raise DataError(
                    f"{root / ann_file}: person {index} has {len(person['joints'])} joints and "
                    f"{len(person['joints_vis'])} flags, MPII has {len(MPII.names)}"
                )
        # The metric counts people in the file's order: windows of one image are neighbours there already.
        names = list(dict.fromkeys(person["image"] for person in people))
        position = {name: i for i, name in enumerate(names)}
        centers = np.array([person["center"] for person in people], dtype=np.float64)
        scales = np.array([person["scale"] for person in people], dtype=np.float64)
        known = centers[:, 0] != -1
        # The benchmark's centre lies on the chest: move down, then from 1-based to 0-based pixels.
        centers[known, 1] += 15 * scales[known]
        sizes = 200 * np.where(known, PADDING * scales, scales)
        centers -= 1
        boxes = np.concatenate([centers - sizes[:, None] / 2, np.repeat(sizes[:, None], 2, axis=1)], axis=1)
        super().__init__(
            MPII,
            transform,
            [root / image_dir / name for name in names],
            names,
            np.array([position[person["image"]] for person in people]),
            centers,
            np.repeat(sizes[:, None], 2, axis=1),
            np.array([person["joints"] for person in people], dtype=np.float64) - 1,
            np.array([person["joints_vis"] for person in people], dtype=np.float64),
            boxes,
            np.ones(len(people)),
        )

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {"gt_file": self.gt_file, "layout": self.layout}


def _read_coco(path: Path, needs_annotations: bool) -> dict:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected COCO's format, an object with images, annotations and categories")
    for section in ("images", "categories", *(["annotations"] if needs_annotations else [])):
        if not content.get(section):
            raise DataError(f"{path}: {section!r} is missing or empty; expected COCO's keypoint format")
    content.setdefault("annotations", [])
    for section, fields in REQUIRED_FIELDS.items():
        for position, entry in enumerate(content[section]):
            if missing := fields - entry.keys():
                raise DataError(f"{path}: {section}[{position}] lacks {sorted(missing)}")
    listed = {image["id"] for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation["image_id"] not in listed:
            raise DataError(
                f"{path}: annotation {annotation['id']} belongs to image {annotation['image_id']}, which the file does "
                "not list"
            )
    return content


def _find_category(categories: list[dict], name: str | None, path: Path) -> dict:
    chosen = [c for c in categories if (c["name"] == name if name is not None else c.get("keypoints"))]
    if name is None and not chosen and len(categories) == 1:
        chosen = categories
    if len(chosen) != 1:
        names = [c["name"] for c in categories]
        wanted = f"named {name!r}" if name is not None else "with keypoints"
        raise DataError(f"{path}: {len(chosen)} categories {wanted} among {names}; set the dataset's `category`")
    return chosen[0]


def _layout_of(category: dict, layout: str | dict | KeypointLayout | None, path: Path) -> KeypointLayout:
    """Join what the file's category says with what the config adds."""
    names = category.get("keypoints")
    if isinstance(layout, str | KeypointLayout):
        stated = resolve_layout(layout)
    elif layout and "names" in layout:
        stated = complete_layout(**layout)
    elif names:
        skeleton = [(names[a - 1], names[b - 1]) for a, b in category.get("skeleton") or ()]
        return complete_layout(**{"names": names, "skeleton": skeleton, **(layout or {})})
    else:
        raise DataError(
            f"{path}: category {category['name']!r} lists no keypoint names; give them in the dataset's `layout`, "
            "for example layout=dict(names=[...])"
        )
    if names and len(names) != len(stated.names):
        raise DataError(f"{path}: {len(names)} keypoints {names}, but the config's layout has {len(stated.names)}")
    return stated


def _select_annotated(annotations: list[dict], images: dict, num_keypoints: int, path: Path) -> dict[str, np.ndarray]:
    left_out: dict[str, list] = {}
    labelled = []
    for annotation in annotations:
        where = f"{path}: annotation {annotation['id']}"
        flat = annotation.get("keypoints", ())
        if annotation.get("iscrowd", 0):
            left_out.setdefault("crowd", []).append(annotation["id"])
        elif not any(flat):
            left_out.setdefault("no labelled keypoint", []).append(annotation["id"])
        elif len(flat) != 3 * num_keypoints:
            raise DataError(
                f"{where} has {len(flat) / 3:g} keypoints, expected {num_keypoints} (x, y, visibility each)"
            )
        elif len(annotation.get("bbox", ())) != 4:
            raise DataError(f"{where} has no `bbox` (left, top, width, height)")
        elif "area" not in annotation:
            raise DataError(f"{where} has no `area`, which COCO's metric needs; width x height of its box will do")
        else:
            labelled.append(annotation)

    ids = np.array([a["id"] for a in labelled])
    boxes = np.array([a["bbox"] for a in labelled], dtype=np.float64).reshape(-1, 4)
    owners = [images[a["image_id"]] for a in labelled]
    image_wh = np.array([(image["width"], image["height"]) for image in owners]).reshape(-1, 2)
    windows = geometry.clip_boxes(boxes, image_wh)
    empty = {
        "area of zero": np.array([a["area"] <= 0 for a in labelled], dtype=bool),
        "box of zero size": (windows[:, 2:] <= 0).any(axis=1),
    }
    for reason, is_empty in empty.items():
        if is_empty.any():
            left_out[reason] = ids[is_empty].tolist()
    kept = np.flatnonzero(~np.any(list(empty.values()), axis=0))
    _log_left_out(path, len(kept), len(annotations), "annotations", left_out)
    if not len(kept):
        raise DataError(f"{path}: none of {len(annotations)} annotations is usable: {_counts(left_out)}")
    keypoints = np.array([labelled[i]["keypoints"] for i in kept], dtype=np.float64)
    return {
        "image_id": np.array([labelled[i]["image_id"] for i in kept]),
        "window": windows[kept],
        "box": boxes[kept],
        "keypoints": keypoints.reshape(len(kept), num_keypoints, 3),
        "score": np.ones(len(kept)),
    }


def _select_detected(path: Path, images: dict, category_id: int, num_keypoints: int) -> dict[str, np.ndarray]:
    detections = read_json(path)
    if not isinstance(detections, list):
        raise DataError(f"{path}: expected COCO's results format, a list of detections")
    kept, left_out = [], {}
    for index, detection in enumerate(detections):
        if missing := {"image_id", "category_id", "bbox", "score"} - detection.keys():
            raise DataError(f"{path}: detection {index} lacks {sorted(missing)}")
        if detection["category_id"] != category_id:
            left_out.setdefault("another category", []).append(index)
        elif detection["image_id"] not in images:
            left_out.setdefault("an image that the annotations do not list", []).append(index)
        elif min(detection["bbox"][2:]) <= 0:
            left_out.setdefault("box of zero size", []).append(index)
        else:
            kept.append(detection)
    _log_left_out(path, len(kept), len(detections), "detections", left_out)
    if not kept:
        raise DataError(f"{path}: none of {len(detections)} detections is usable: {_counts(left_out)}")
    boxes = np.array([d["bbox"] for d in kept], dtype=np.float64)
    return {
        "image_id": np.array([d["image_id"] for d in kept]),
        "window": boxes,  # detections are neither cleaned nor clipped in the official protocol
        "box": boxes,
        "keypoints": np.zeros((len(kept), num_keypoints, 3)),
        "score": np.array([d["score"] for d in kept]),
    }


def _log_left_out(path: Path, kept: int, total: int, what: str, left_out: dict[str, list]) -> None:
    log.info("%s: %d of %d %s used%s", path, kept, total, what, f" ({_counts(left_out)})" if left_out else "")
    for reason in ("area of zero", "box of zero size"):
        if reason in left_out:
            log.warning("%s: left out for a %s: %s %s", path, reason, what, left_out[reason][:20])


def _counts(left_out: dict[str, list]) -> str:
    return ", ".join(f"{len(ids)} left out: {reason}" for reason, ids in left_out.items())
