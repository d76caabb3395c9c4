"""People in images: COCO keypoints (and any file in its format) and MPII, in flat arrays.

One sample is one person. At test time people of one image are neighbours, and the image is read once for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hrtoolkit.tasks.pose.checks import check_sigmas, select_annotated
from hrtoolkit.tasks.pose.layouts import MPII, with_sigmas

from hrtoolkit import geometry
from hrtoolkit.data.checks import check_images, check_pairs, check_symmetry, find_owners, look_up
from hrtoolkit.data.coco import Images, find_category, layout_of_category, read_annotations, read_detections
from hrtoolkit.data.doctor import Finding, Findings
from hrtoolkit.data.keypoints import KeypointDataset, People
from hrtoolkit.data.reading import find_image_folder, read_json
from hrtoolkit.errors import DataError
from hrtoolkit.registry import DATASETS

log = logging.getLogger(__name__)

PADDING = 1.25  # of every person's window, in training and at test time


@DATASETS.register_module()
class CocoKeypoints(KeypointDataset):
    """COCO person keypoints, or any keypoint file in COCO's format with its own names (https://cocodataset.org).

    Kept are annotations that are no crowds, have an area, a box with extent inside the image, and a labelled keypoint;
    what is left out is logged with counts, and all that is wrong with the file is in `findings`.

    Args:
        transform: crops one person.
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root` or below `data_root/images`.
        layout: "coco", or fields such as `mirrored` and `sigmas` that complete or replace what the file's category
            says; None takes names and skeleton from the file, mirror partners from left and right in the names.
        box_file: detections in COCO's results format, used instead of annotated boxes.
        category: name of the category; None takes the only one with keypoints.
        strict: refuse files with faults that stop training; the data doctor goes on with the sound records.

    Raises:
        DataError: a file is missing or malformed, nobody is left, or records have faults that stop training.
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
        strict: bool = True,
    ):
        root = Path(data_root)
        self.ann_file = root / ann_file
        findings = Findings(self.ann_file)
        images, annotations, categories = read_annotations(self.ann_file, findings, needs_annotations=box_file is None)
        chosen = find_category(categories, category, self.ann_file)
        self.category_id = chosen["id"]
        layout = with_sigmas(layout_of_category(chosen, layout, self.ann_file))
        check_pairs(layout, findings)
        check_sigmas(layout, findings)
        check_images(images, findings)
        owners = find_owners(images, annotations, [c["id"] for c in categories], findings)
        positions, keypoints, left_out = select_annotated(
            images, annotations, owners, self.category_id, layout, findings
        )
        count = len(annotations.ids)
        _log_use(self.ann_file, len(positions), count, "annotations", left_out)
        boxes, owners = annotations.boxes[positions], owners[positions]
        del annotations  # a million people are some hundred megabytes: no more copies of them than needed
        windows = geometry.clip_boxes(boxes, images.sizes[owners])
        annotated = people = _order_people(owners, windows, boxes, np.ones(len(boxes)), keypoints, len(layout.names))
        del keypoints
        check_symmetry(annotated.keypoints, annotated.visible, layout, findings)
        if box_file is not None:
            people = _read_detected(root / box_file, images, self.category_id, len(layout.names), findings)
        elif not len(people.images):
            what = f"none of {count} annotations is usable{_counts(left_out)}"
            findings.append(Finding("stop", findings.where, what, (), 0, "is it the right file, and `category`?"))
        if strict or not len(people.images):
            findings.raise_stops()
        folder = find_image_folder(root, image_dir)
        super().__init__(
            layout,
            transform,
            (folder / name.decode() for name in images.names.tolist()),
            images.ids,
            images.sizes,
            people,
            annotated,
            findings,
        )

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
class MpiiPose(KeypointDataset):
    """MPII Human Pose in the json form of the official pose code (Andriluka et al., CVPR 2014).

    Args:
        transform: crops one person.
        data_root: folder of the data set.
        ann_file: list of people with image, center, scale, joints and joints_vis, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        gt_file: gt_valid.mat for the metric, below `data_root`; None where nothing is evaluated.
        strict: refuse files with faults that stop training; the data doctor goes on with the sound records.

    Raises:
        DataError: a file is missing or malformed, or people lack a field.
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
        strict: bool = True,
    ):
        root = Path(data_root)
        records = read_json(root / ann_file)
        self.gt_file = None if gt_file is None else str(root / gt_file)
        if not isinstance(records, list) or not records:
            raise DataError(f"{root / ann_file}: expected a list of people, as in MPII's annot/train.json")
        findings = Findings(root / ann_file)
        people = _sound_people(records, findings)
        if strict or not people:
            findings.raise_stops()
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
        keypoints = np.array([person["joints"] for person in people], dtype=np.float32) - 1
        visible = np.array([person["joints_vis"] for person in people], dtype=np.float32) > 0
        indices = np.arange(len(people))
        findings.add("note", "people without a labelled joint", indices[~visible.any(axis=1)], "they teach nothing")
        findings.add("stop", "people whose `scale` is not above 0", indices[~(scales > 0)], "correct it")
        check_symmetry(keypoints, visible, MPII, findings)
        if strict:
            findings.raise_stops()
        super().__init__(
            MPII,
            transform,
            [root / image_dir / name for name in names],
            names,
            np.zeros((len(names), 2)),
            People(
                np.array([position[person["image"]] for person in people], dtype=np.int32),
                centers.astype(np.float32),
                np.repeat(sizes[:, None], 2, axis=1).astype(np.float32),
                keypoints,
                visible.astype(np.uint8),
                boxes.astype(np.float32),
                np.ones(len(people), np.float32),
            ),
            None,
            findings,
        )

    def truth(self) -> list[dict]:
        return super().truth() if self.gt_file is not None else []

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {"gt_file": self.gt_file, "layout": self.layout}


def _sound_people(records: list[dict], findings: Findings) -> list[dict]:
    """People of an MPII file who have all fields in the right number."""
    sound, lacking, miscounted = [], [], []
    for index, person in enumerate(records):
        if missing := {"image", "center", "scale", "joints", "joints_vis"} - person.keys():
            lacking.append(f"person {index} lacks {sorted(missing)}")
        elif len(person["joints"]) != len(MPII.names) or len(person["joints_vis"]) != len(MPII.names):
            miscounted.append(
                f"person {index} has {len(person['joints'])} joints and {len(person['joints_vis'])} flags"
            )
        else:
            sound.append(person)
    findings.add("stop", "people who lack a field", lacking, "add it or remove them")
    findings.add("stop", f"people without {len(MPII.names)} joints", miscounted, "correct or remove them")
    return sound


def _order_people(
    owners: np.ndarray,
    windows: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    keypoints: np.ndarray | None,
    count: int,
) -> People:
    """Sort people by image, in the file's order within one.

    Args:
        owners: [N] position of each person's image.
        windows: [N, 4] left, top, width, height, not padded.
        boxes: [N, 4].
        scores: [N].
        keypoints: [N, K, 3] (x, y, visibility), or None where there are none.
        count: K.
    """
    order = np.argsort(owners, kind="stable")
    centers, sizes = geometry.box_to_center(windows[order])
    if keypoints is None:
        points, visible = np.zeros((len(order), count, 2), np.float32), np.zeros((len(order), count), np.uint8)
    else:
        points = keypoints[..., :2][order].astype(np.float32, copy=False)
        visible = (keypoints[..., 2] > 0)[order].astype(np.uint8)
    return People(
        owners[order].astype(np.int32),
        centers.astype(np.float32),
        (sizes * PADDING).astype(np.float32),
        points,
        visible,
        boxes[order].astype(np.float32),
        scores[order].astype(np.float32),
    )


def _read_detected(path: Path, images: Images, category_id: int | str, count: int, findings: Findings) -> People:
    detections = read_detections(path, findings)
    owners = look_up(detections.image_ids, images.ids)
    other = detections.category_ids != category_id
    unlisted = ~other & (owners < 0)
    empty = ~other & ~unlisted & ~(detections.boxes[:, 2:] > 0).all(axis=1)
    kept = ~(other | unlisted | empty)
    left_out = {
        "another category": int(other.sum()),
        "an image that the annotations do not list": int(unlisted.sum()),
        "box of zero size": int(empty.sum()),
    }
    _log_use(path, int(kept.sum()), len(kept), "detections", left_out)
    if not kept.any():
        raise DataError(f"{path}: none of {len(kept)} detections is usable{_counts(left_out)}")
    # Detections are neither cleaned nor clipped in the official protocol.
    boxes = detections.boxes[kept]
    return _order_people(owners[kept], boxes, boxes, detections.scores[kept], None, count)


def _log_use(path: Path, used: int, total: int, what: str, left_out: dict[str, int]) -> None:
    log.info("%s: %d of %d %s used%s", path, used, total, what, _counts(left_out))


def _counts(left_out: dict[str, int]) -> str:
    counts = ", ".join(f"{count} left out: {reason}" for reason, count in left_out.items() if count)
    return f" ({counts})" if counts else ""
