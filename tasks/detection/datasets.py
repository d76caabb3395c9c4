"""Objects in images: COCO instances (and any file in its format) and Pascal VOC, in flat arrays.

One sample is one image.
"""

from __future__ import annotations

import logging
import pickle
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.progress import track
from torch.utils.data import Dataset

from hrtoolkit.data.doctor import Finding, Findings, ImageFiles
from hrtoolkit.data.loading import Draw, collate_padded
from hrtoolkit.data.reading import read_image, read_json
from hrtoolkit.errors import DataError
from hrtoolkit.registry import DATASETS
from hrtoolkit.visualization import draw_boxes, draw_instances
from tasks.detection.classes import resolve_classes
from tasks.detection.postprocess import decode_masks
from tasks.detection.transforms import draw_masks, to_run_lengths

log = logging.getLogger(__name__)

REQUIRED_FIELDS = {
    "images": {"id", "file_name", "width", "height"},
    "annotations": {"id", "image_id", "category_id", "bbox"},
    "categories": {"id", "name"},
}
MIN_SIDE = 32  # smaller images are not trained on

Faults = Literal["stop", "drop"]


class Packed:
    """A list of Python values in two arrays: loader workers share it instead of touching a million objects."""

    def __init__(self, values: Sequence):
        dumped = [np.frombuffer(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), np.uint8) for value in values]
        self.ends = np.cumsum([len(one) for one in dumped], dtype=np.int64)
        self.bytes = np.concatenate([*dumped, np.empty(0, np.uint8)])

    def __getitem__(self, index: int):
        start = self.ends[index - 1] if index else 0
        return pickle.loads(self.bytes[start : self.ends[index]])


class DetectionDataset(Dataset):
    """Images and their objects as flat arrays; a subclass reads one annotation format.

    Args:
        classes: names, in the order of the labels.
        transform: of one image with its objects, such as `ResizeFlip`.
        image_paths: of M images.
        image_ids: M ids, as the annotations have them.
        image_sizes: [M, 2] width and height as annotated.
        object_images: [N] which image each object is in.
        boxes: [N, 4] (x1, y1, x2, y2) in image pixels.
        labels: [N], from 0 on.
        segmentations: N of COCO's, or None where no masks are wanted.
        keep_empty: keep images without objects, and those with a side below 32 pixels, which seldom help training.
        findings: what is wrong with the files.

    Raises:
        ValueError: a label is no class.
        DataError: no image is left.
    """

    collate = staticmethod(collate_padded)

    def __init__(
        self,
        classes: Sequence[str],
        transform: Callable[..., dict],
        image_paths: Sequence[Path],
        image_ids: Sequence[int | str],
        image_sizes: np.ndarray,
        object_images: np.ndarray,
        boxes: np.ndarray,
        labels: np.ndarray,
        segmentations: Sequence | None = None,
        keep_empty: bool = True,
        findings: Sequence[Finding] = (),
    ):
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
            raise ValueError(f"labels {labels.min()} to {labels.max()} for {len(classes)} classes counted from 0")
        self.classes = tuple(classes)
        self.transform = transform
        self.findings = list(findings)
        image_sizes = np.asarray(image_sizes).reshape(-1, 2)
        kept = np.arange(len(image_ids))
        if not keep_empty:
            has_object = np.bincount(object_images, minlength=len(image_ids)) > 0
            is_large = image_sizes.min(axis=1) >= MIN_SIDE
            kept = np.flatnonzero(has_object & is_large)
            log.info(
                "%d of %d images kept: %d have no usable object, %d are smaller than %d pixels",
                *(len(kept), len(image_ids), (~has_object).sum(), (~is_large).sum(), MIN_SIDE),
            )
        if not len(kept):
            raise DataError(f"none of {len(image_ids)} images is left to use")
        # Objects sorted by image, and only those of images that are kept.
        position = np.full(len(image_ids), -1)
        position[kept] = np.arange(len(kept))
        order = np.argsort(object_images, kind="stable")
        order = order[position[object_images[order]] >= 0]
        self.image_paths = np.array([str(image_paths[i]).encode() for i in kept])
        self.image_ids = np.array(image_ids)[kept]
        self.image_sizes = image_sizes[kept].astype(np.int32)
        self.first = np.searchsorted(position[object_images[order]], np.arange(len(kept) + 1))  # object of each image
        self.boxes = boxes[order].astype(np.float32)
        self.labels = labels[order].astype(np.int64)
        self.segmentations = None if segmentations is None else Packed([segmentations[i] for i in order])
        # Batches hold upright or lying images, to waste little on padding.
        self.groups = (self.image_sizes[:, 0] >= self.image_sizes[:, 1]).astype(np.int8)

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, key: int | Draw) -> dict:
        """Read one image with its objects: as annotated for an int, augmented for a `Draw`."""
        index, rng = (key.index, key.generator()) if isinstance(key, Draw) else (int(key), None)
        image = self.read_image(index)
        meta = {"index": index, "image_id": self.image_ids[index].item(), "image_hw": image.shape[:2]}
        objects = slice(*self.first[index : index + 2])
        sample = self.transform(image, self.boxes[objects], self._segmentations(index), rng)
        image = sample.pop("image")
        return {"image": image, "targets": {**sample, "labels": self.labels[objects]}, "meta": meta}

    def _segmentations(self, index: int) -> list | None:
        if self.segmentations is None:
            return None
        return [self.segmentations[i] for i in range(*self.first[index : index + 2])]

    def read_image(self, index: int) -> np.ndarray:
        """Read an image by its position.

        Raises:
            DataError: it cannot be read, or its size is not the annotated one.
        """
        path = self.image_paths[index].decode()
        image = read_image(path)
        width, height = self.image_sizes[index]
        if image.shape[:2] != (height, width):
            raise DataError(
                f"{path}: the image has {image.shape[1]} x {image.shape[0]} pixels, but was annotated with {width} x "
                f"{height}; its boxes would lie elsewhere (if width and height are exchanged, a program turned it by "
                "its EXIF orientation)"
            )
        return image

    def truth(self) -> list[dict]:
        """The objects as the metric wants predictions."""
        found = []
        for index in range(len(self)):
            objects = slice(*self.first[index : index + 2])
            one = {"index": index, "image_id": self.image_ids[index].item(), "boxes": self.boxes[objects]}
            one |= {"labels": self.labels[objects], "scores": np.ones(len(self.labels[objects]), np.float32)}
            if self.segmentations is not None:
                size_hw = self.image_sizes[index, ::-1].tolist()
                one["masks"] = [to_run_lengths(segmentation, size_hw) for segmentation in self._segmentations(index)]
            found.append(one)
        return found

    def image_files(self) -> ImageFiles:
        """The images of all samples."""
        return ImageFiles(self.image_paths, self.image_ids, self.image_sizes)

    def true_masks(self, index: int) -> np.ndarray:
        """Annotated masks bool [G, H, W] of the image at a position."""
        size_hw = tuple(self.image_sizes[index, ::-1].tolist())
        return draw_masks(self._segmentations(index), size_hw, size_hw).astype(bool)

    def draw(self, predictions: list[dict], score_threshold: float = 0.5) -> np.ndarray:
        """Draw the predictions of one image beside its annotations, RGB uint8 [H, W, 3]: truth left, prediction right.

        Args:
            predictions: a list of one, with `index`, `boxes`, `labels`, `scores`, and `masks` if there are any.
            score_threshold: objects below it are not drawn.
        """
        (prediction,) = predictions
        index = prediction["index"]
        image = self.read_image(index)
        objects = slice(*self.first[index : index + 2])
        truth = image if self.segmentations is None else draw_instances(image, self.true_masks(index))
        truth = self._draw_boxes(truth, self.boxes[objects], [self.classes[label] for label in self.labels[objects]])
        shown = prediction["scores"] >= score_threshold
        found = image
        if "masks" in prediction:
            masks = [mask for mask, one in zip(prediction["masks"], shown, strict=True) if one]
            found = draw_instances(image, decode_masks(masks, image.shape[:2]))
        names = [
            f"{self.classes[label]} {score:.2f}"
            for label, score in zip(prediction["labels"][shown], prediction["scores"][shown], strict=True)
        ]
        return np.hstack([truth, self._draw_boxes(found, prediction["boxes"][shown], names)])

    def draw_sample(self, sample: dict) -> np.ndarray:
        """Draw one sample as the network gets it, with its objects, RGB uint8 [h, w, 3]."""
        targets = sample["targets"]
        picture = draw_instances(sample["image"], targets["masks"]) if "masks" in targets else sample["image"]
        return self._draw_boxes(picture, targets["boxes"], [self.classes[label] for label in targets["labels"]])

    @staticmethod
    def _draw_boxes(image: np.ndarray, boxes: np.ndarray, names: list[str]) -> np.ndarray:
        return draw_boxes(image, np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1), names)

    def head_arguments(self) -> dict:
        """What a head that leaves it open takes from the data."""
        return {"classes": list(self.classes)}


@DATASETS.register_module()
class CocoDetection(DetectionDataset):
    """COCO instances, or any file in COCO's format with its own categories (https://cocodataset.org).

    Labels count the chosen categories in the order of their ids. Trained objects are no crowds and measure a pixel at
    least, after their boxes were cut at the edges of the image; the metric reads the file itself.

    Args:
        transform: of one image with its objects.
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root` or below `data_root/images`.
        classes: names of the categories to use, in the order of their labels, or "coco"; None takes all of the file.
        masks: also read segmentations.
        keep_empty: keep images without objects, and very small ones.
        faults: "stop" refuses a file with faulty annotations, "drop" leaves them out and warns.
        strict: refuse such a file at once; the data doctor goes on with the sound annotations.

    Raises:
        DataError: a file is missing or malformed, no image is left, or annotations are faulty.
    """

    how_to_get = (
        "COCO 2017 is at https://cocodataset.org/#download: train2017.zip, val2017.zip and "
        "annotations_trainval2017.zip, unpacked side by side; --data-root names the folder. Without it, "
        "`python tools/make_toy_data.py` makes toy data for configs/detection/faster_rcnn_toy.py"
    )

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        image_dir: str,
        classes: str | Sequence[str] | None = None,
        masks: bool = False,
        keep_empty: bool = True,
        faults: Faults = "stop",
        strict: bool = True,
    ):
        root = Path(data_root)
        self.ann_file = root / ann_file
        content = _read_coco(self.ann_file)
        images = {image["id"]: image for image in content["images"]}
        names, self.category_ids = _choose_categories(content["categories"], classes, self.ann_file)
        findings = Findings(self.ann_file)
        ids = [image["id"] for image in content["images"]]
        shared = [image_id for image_id, count in Counter(ids).items() if count > 1]
        findings.add("stop", "images that share an id, by id", shared, "give each its own, or remove what is double")
        boxes, labels, image_ids, segmentations = _select_objects(
            content["annotations"],
            images,
            [category["id"] for category in content["categories"]],
            self.category_ids,
            masks,
            faults,
            findings,
        )
        if strict:
            findings.raise_stops()
        position = {image_id: i for i, image_id in enumerate(images)}
        older = root / "images" / image_dir
        folder = older if older.is_dir() and not (root / image_dir).is_dir() else root / image_dir
        super().__init__(
            names,
            transform,
            [folder / image["file_name"] for image in images.values()],
            list(images),
            np.array([(image["width"], image["height"]) for image in images.values()]),
            np.array([position[image_id] for image_id in image_ids], dtype=np.int64),
            boxes,
            labels,
            segmentations,
            keep_empty,
            findings,
        )

    def read_ground_truth(self) -> dict:
        """The annotations in COCO's format."""
        return read_json(self.ann_file)

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {
            "ann_file": str(self.ann_file),
            "read_ground_truth": self.read_ground_truth,
            "classes": self.classes,
            "category_ids": self.category_ids,
            "image_ids": self.image_ids.tolist(),
            "masks": self.segmentations is not None,
        }


@DATASETS.register_module()
class VocDetection(DetectionDataset):
    """Pascal VOC, or one XML file an image in its format (Everingham et al., IJCV 2010).

    Convention: the files count pixels from 1 and include the last one, so that (xmin - 1, ymin - 1, xmax, ymax) is the
    box here. "Difficult" objects are not trained, and the metric treats them as COCO's crowds.

    Args:
        transform: of one image with its objects.
        data_root: folder of the data set, such as VOCdevkit/VOC2012.
        split_file: text file with one image name a line, below `data_root`.
        ann_dir: folder of the XML files.
        image_dir: folder of the images.
        classes: names, in the order of the labels; None takes those in the files, sorted.
        keep_empty: keep images without objects, and very small ones.
        faults: "stop" refuses a file with faulty annotations, "drop" leaves them out and warns.
        strict: refuse such a file at once; the data doctor goes on with the sound annotations.

    Raises:
        DataError: a file is missing or malformed, no image is left, or annotations are faulty.
    """

    how_to_get = (
        "Pascal VOC is at http://host.robots.ox.ac.uk/pascal/VOC: VOCtrainval_11-May-2012.tar holds VOCdevkit/VOC2012; "
        "--data-root names that folder"
    )

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        split_file: str = "ImageSets/Main/trainval.txt",
        ann_dir: str = "Annotations",
        image_dir: str = "JPEGImages",
        classes: str | Sequence[str] | None = None,
        keep_empty: bool = True,
        faults: Faults = "stop",
        strict: bool = True,
    ):
        root = Path(data_root)
        self.ann_file = root / split_file
        try:
            lines = self.ann_file.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            raise DataError(f"{self.ann_file}: no such file; it lists the images of a split, one a line") from None
        names = [line.split()[0] for line in lines if line.strip()]
        images, annotations = [], []
        for name in track(names, "reading XML", console=Console(stderr=True), disable=len(names) < 2000):
            image, found = _read_voc(root / ann_dir / f"{name}.xml", name)
            images.append(image)
            annotations += found
        in_files = sorted({annotation["name"] for annotation in annotations})
        chosen = resolve_classes(classes if classes is not None else in_files)
        categories = [*chosen, *(name for name in in_files if name not in chosen)]
        self.category_ids = list(range(1, len(chosen) + 1))
        for number, annotation in enumerate(annotations, start=1):
            annotation |= {"id": number, "category_id": categories.index(annotation.pop("name")) + 1}
        self._content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in enumerate(categories, start=1)],
        }
        by_id = {image["id"]: image for image in images}
        all_ids = [category["id"] for category in self._content["categories"]]
        findings = Findings(root / ann_dir)
        boxes, labels, image_ids, _ = _select_objects(
            annotations, by_id, all_ids, self.category_ids, False, faults, findings
        )
        if strict:
            findings.raise_stops()
        position = {name: i for i, name in enumerate(by_id)}
        super().__init__(
            chosen,
            transform,
            [root / image_dir / image["file_name"] for image in images],
            list(by_id),
            np.array([(image["width"], image["height"]) for image in images]),
            np.array([position[name] for name in image_ids], dtype=np.int64),
            boxes,
            labels,
            None,
            keep_empty,
            findings,
        )

    def read_ground_truth(self) -> dict:
        """The annotations in COCO's format."""
        return self._content

    metainfo = CocoDetection.metainfo


def _read_coco(path: Path) -> dict:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected COCO's format, an object with images, annotations and categories")
    for section in ("images", "categories"):
        if not content.get(section):
            raise DataError(f"{path}: {section!r} is missing or empty; expected COCO's instances format")
    content.setdefault("annotations", [])  # COCO's test sets have none
    for section, fields in REQUIRED_FIELDS.items():
        for position, entry in enumerate(content[section]):
            if missing := fields - entry.keys():
                raise DataError(f"{path}: {section}[{position}] lacks {sorted(missing)}")
    return content


def _choose_categories(
    categories: list[dict], classes: Sequence[str] | None, path: Path
) -> tuple[tuple[str, ...], list[int]]:
    """Class names and category ids, label by label."""
    ids = {category["name"]: category["id"] for category in sorted(categories, key=lambda c: c["id"])}
    if len(ids) != len(categories) or len(set(ids.values())) != len(categories):
        raise DataError(f"{path}: a category's name or id appears twice among {[c['name'] for c in categories]}")
    names = resolve_classes(classes) if classes is not None else tuple(ids)
    if unknown := [name for name in names if name not in ids]:
        raise DataError(f"{path}: no category is called {unknown}; the file has {list(ids)}")
    return names, [ids[name] for name in names]


def _select_objects(
    annotations: list[dict],
    images: dict,
    known_categories: list[int],
    category_ids: list[int],
    masks: bool,
    faults: Faults,
    findings: Findings,
) -> tuple[np.ndarray, np.ndarray, list, list | None]:
    """Boxes (x1, y1, x2, y2), labels, image ids and segmentations of what can be trained; the rest is told.

    Args:
        annotations: COCO's.
        images: by id.
        known_categories: ids that the file explains.
        category_ids: ids of the classes in use, label by label.
        masks: look at segmentations.
        faults: whether faulty annotations stop training.
        findings: is told what is wrong.
    """
    ids = np.array([a["id"] for a in annotations])
    categories = np.array([a["category_id"] for a in annotations], dtype=np.int64)
    has_image = np.array([a["image_id"] in images for a in annotations], dtype=bool)
    has_box = np.array([len(a["bbox"]) == 4 for a in annotations], dtype=bool)
    boxes = np.array([a["bbox"] if len(a["bbox"]) == 4 else [0] * 4 for a in annotations], dtype=np.float64)
    boxes = boxes.reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    owners = [images.get(a["image_id"], {"width": 0, "height": 0}) for a in annotations]
    sizes = np.array([(image["width"], image["height"]) for image in owners], dtype=np.float64).reshape(-1, 2)
    clipped = np.clip(boxes, 0, np.tile(sizes, 2))
    extent, extent_inside = boxes[:, 2:] - boxes[:, :2], clipped[:, 2:] - clipped[:, :2]
    crowd = np.array([bool(a.get("iscrowd", 0)) for a in annotations], dtype=bool)

    # Of each annotation the first reason that holds is told.
    faulty = {
        "belong to an image that is not listed": ~has_image,
        "have a category that is not listed": ~np.isin(categories, known_categories),
        "have no box of four finite numbers": ~(has_box & np.isfinite(boxes).all(axis=1)),
        "have a box whose corners are exchanged": (extent < 0).any(axis=1),
        "lie outside their image": (extent > 0).all(axis=1) & (extent_inside <= 0).any(axis=1),
    }
    if masks:
        states = np.array(
            [_segmentation_fault(a.get("segmentation"), owner) for a, owner in zip(annotations, owners, strict=True)]
        )
        faulty |= {state: states == state for state in sorted(set(states) - {""})}
    # COCO itself has a few of these.
    useless = {
        "have a box without extent": (extent_inside <= 0).any(axis=1),
        "have an area of zero": np.array([a.get("area", 1) <= 0 for a in annotations], dtype=bool),
    }
    others = {
        "are crowds": crowd,
        "belong to classes that are not used": ~np.isin(categories, category_ids),
        "measure less than a pixel": (extent_inside < 1).any(axis=1),
    }
    usable = np.ones(len(annotations), dtype=bool)
    counts = []
    for reasons, level, remedy in (
        (faulty, "stop", 'correct them, or leave them out by the dataset\'s faults="drop"'),
        (useless, "warning", "they are left out"),
        (others, None, ""),
    ):
        if level == "stop" and faults == "drop":
            level, remedy = "warning", "they are left out"
        for reason, holds in reasons.items():
            found = ids[usable & holds]
            usable &= ~holds
            if len(found):
                counts.append(f"{len(found)} {reason}")
            if level is not None:
                findings.add(level, f"annotations {reason}", found, remedy)
    log.info(
        "%s: %d of %d annotations used%s",
        *(findings.where, usable.sum(), len(usable), f" ({', '.join(counts)})" if counts else ""),
    )

    kept = np.flatnonzero(usable)
    label_of = {category: label for label, category in enumerate(category_ids)}
    return (
        clipped[kept],
        np.array([label_of[category] for category in categories[kept].tolist()], dtype=np.int64),
        [annotations[i]["image_id"] for i in kept],
        [annotations[i]["segmentation"] for i in kept] if masks else None,
    )


def _segmentation_fault(segmentation: list | dict | None, image: dict) -> str:
    """What is wrong with a segmentation, or an empty string."""
    if not segmentation:
        return "have no segmentation"
    if isinstance(segmentation, dict):
        size = [image["height"], image["width"]]
        return "" if list(segmentation.get("size", ())) == size else "have run lengths of another size than their image"
    too_few = any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation)
    return "have a polygon of fewer than three points" if too_few else ""


def _read_voc(path: Path, name: str) -> tuple[dict, list[dict]]:
    """One XML file as COCO's records of an image and its objects, which still have a `name` instead of a category."""
    try:
        root = ET.parse(path).getroot()
        size = root.find("size")
        image = {
            "id": name,
            "file_name": root.findtext("filename") or f"{name}.jpg",
            "width": int(size.findtext("width")),
            "height": int(size.findtext("height")),
        }
        annotations = []
        for item in root.iter("object"):
            corners = (item.find("bndbox").findtext(side) for side in ("xmin", "ymin", "xmax", "ymax"))
            x1, y1, x2, y2 = (float(corner) for corner in corners)
            width, height = x2 - x1 + 1, y2 - y1 + 1
            annotations.append(
                {
                    "image_id": name,
                    "name": item.findtext("name").strip(),
                    "bbox": [x1 - 1, y1 - 1, width, height],
                    "area": width * height,
                    "iscrowd": int(item.findtext("difficult") or 0),
                }
            )
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; the split lists {name!r}") from None
    except ET.ParseError as error:
        raise DataError(f"{path}: not valid XML ({error}); copy or download it again") from None
    except (AttributeError, TypeError, ValueError):
        raise DataError(
            f"{path}: expected VOC's format: size with width and height, and objects with name and bndbox of xmin, "
            "ymin, xmax, ymax"
        ) from None
    return image, annotations
