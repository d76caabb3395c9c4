"""Objects in images: COCO instances (and any file in its format) and Pascal VOC, in flat arrays.

One sample is one image.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from hrtoolkit.tasks.detection.classes import resolve_classes
from hrtoolkit.tasks.detection.postprocess import decode_masks
from hrtoolkit.tasks.detection.reading import (
    Faults,
    Packed,
    check_classes,
    check_ids,
    choose_categories,
    read_coco,
    read_keypoint_layout,
    read_voc,
    select_objects,
    sound_annotations,
)
from hrtoolkit.tasks.detection.transforms import draw_masks, to_run_lengths
from rich.console import Console
from rich.progress import track
from torch.utils.data import Dataset

from hrtoolkit.data.doctor import Finding, Findings, ImageFiles
from hrtoolkit.data.loading import Draw, collate_padded
from hrtoolkit.data.reading import find_image_folder, read_image, read_json
from hrtoolkit.errors import DataError
from hrtoolkit.registry import DATASETS
from hrtoolkit.structures import KeypointLayout
from hrtoolkit.visualization import draw_boxes, draw_instances, draw_keypoints

log = logging.getLogger(__name__)

MIN_SIDE = 32  # smaller images are not trained on


class DetectionDataset(Dataset):
    """Images and their objects as flat arrays; a subclass reads one annotation format.

    Args:
        classes: names, in the order of the labels.
        transform: of one image with its objects, such as `ResizeFlip`; its `convention` has to be the head's.
        image_paths: of M images.
        image_ids: M ids, as the annotations have them.
        image_sizes: [M, 2] width and height as annotated.
        object_images: [N] which image each object is in.
        boxes: [N, 4] (x1, y1, x2, y2) in image pixels.
        labels: [N], from 0 on.
        segmentations: N of COCO's, or None where no masks are wanted.
        keypoints: [N, K, 3] (x, y, flag), or None where no keypoints are wanted.
        layout: of the keypoints.
        keep_empty: keep images without objects, and those with a side below 32 pixels, which seldom help training.
        findings: what is wrong with the files.

    Raises:
        ValueError: a label is no class, or the transform tells no convention.
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
        keypoints: np.ndarray | None = None,
        layout: KeypointLayout | None = None,
        keep_empty: bool = True,
        findings: Sequence[Finding] = (),
    ):
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
            raise ValueError(f"labels {labels.min()} to {labels.max()} for {len(classes)} classes counted from 0")
        if not hasattr(transform, "convention"):
            raise ValueError(f"{type(transform).__name__}: a detection transform has a `convention`, as ResizeFlip has")
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
        self.keypoints = None if keypoints is None else keypoints[order].astype(np.float32)
        self.layout = layout
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
        keypoints = {}
        if self.keypoints is not None:
            keypoints = {"keypoints": self.keypoints[objects], "flip_order": self.layout.flip_order()}
        sample = self.transform(image, self.boxes[objects], self._segmentations(index), rng, **keypoints)
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
        picture = sample["image"].astype(np.uint8)
        if "masks" in targets:
            picture = draw_instances(picture, targets["masks"])
        if "keypoints" in targets:
            points = targets["keypoints"]
            picture = draw_keypoints(picture, points[..., :2], points[..., 2] > 0, self.layout)
        return self._draw_boxes(picture, targets["boxes"], [self.classes[label] for label in targets["labels"]])

    @staticmethod
    def _draw_boxes(image: np.ndarray, boxes: np.ndarray, names: list[str]) -> np.ndarray:
        return draw_boxes(image, np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1), names)

    def head_arguments(self) -> dict:
        """What a head that leaves it open takes from the data."""
        return {"classes": list(self.classes), "convention": self.transform.convention}


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
        keypoints: also read keypoints, which follow resizing and mirroring: left and right change places by the names
            in the file. Samples have them in their targets, and pictures of samples show them; no head predicts them.
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
        keypoints: bool = False,
        keep_empty: bool = True,
        faults: Faults = "stop",
        strict: bool = True,
    ):
        root = Path(data_root)
        self.ann_file = root / ann_file
        content = read_coco(self.ann_file)
        images = {image["id"]: image for image in content["images"]}
        names, self.category_ids = choose_categories(content["categories"], classes, self.ann_file)
        findings = Findings(self.ann_file)
        check_ids(content, findings)
        layout = None
        if keypoints:
            layout = read_keypoint_layout(content["categories"], self.category_ids, self.ann_file, findings)
        objects = select_objects(
            content["annotations"],
            images,
            [category["id"] for category in content["categories"]],
            self.category_ids,
            masks,
            faults,
            findings,
            num_keypoints=len(layout.names) if keypoints else None,
        )
        if content["annotations"]:
            check_classes(names, objects.labels, (), findings)
        if strict:
            findings.raise_stops()
        position = {image_id: i for i, image_id in enumerate(images)}
        folder = find_image_folder(root, image_dir)
        super().__init__(
            names,
            transform,
            [folder / image["file_name"] for image in images.values()],
            list(images),
            np.array([(image["width"], image["height"]) for image in images.values()]),
            np.array([position[image_id] for image_id in objects.image_ids], dtype=np.int64),
            objects.boxes,
            objects.labels,
            objects.segmentations,
            objects.keypoints,
            layout,
            keep_empty,
            findings,
        )
        self.faulty, self.crowd_boxes = objects.faulty, objects.crowd_boxes

    def read_ground_truth(self) -> dict:
        """The annotations in COCO's format, as far as they can be scored."""
        content = read_json(self.ann_file)
        annotations = sound_annotations(content.get("annotations") or [], self.faulty, self.crowd_boxes)
        return {**content, "annotations": annotations}

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
        listed = [line.split()[0] for line in lines if line.strip()]
        if not listed:
            raise DataError(f"{self.ann_file}: the list is empty; it names the images of a split, one a line")
        names = list(dict.fromkeys(listed))
        images, annotations = [], []
        for name in track(names, "reading XML", console=Console(stderr=True), disable=len(names) < 2000):
            image, found = read_voc(root / ann_dir / f"{name}.xml", name)
            images.append(image)
            annotations += found
        findings = Findings(root / ann_dir)
        in_files = Counter(annotation["name"] for annotation in annotations)
        if classes is None and not in_files:
            raise DataError(f"{root / ann_dir}: no file has an object to take classes from; give the dataset's classes")
        chosen = resolve_classes(classes if classes is not None else sorted(in_files))
        unused = sorted(in_files.keys() - set(chosen))
        told = [f"{name}, {in_files[name]} objects" for name in unused]
        remedy = "they are not trained; name them in the dataset's classes if they should be"
        findings.add("warning", "classes that the files have and the dataset's classes have not", told, remedy)
        categories = [*chosen, *unused]
        self.category_ids = list(range(1, len(chosen) + 1))
        for number, annotation in enumerate(annotations, start=1):
            name = annotation.pop("name")
            annotation["told_as"] = f"{name} in {annotation['image_id']}.xml"
            annotation |= {"id": number, "category_id": categories.index(name) + 1}
        self._content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in enumerate(categories, start=1)],
        }
        by_id = {image["id"]: image for image in images}
        all_ids = [category["id"] for category in self._content["categories"]]
        twice = [name for name, count in Counter(listed).items() if count > 1]
        findings.add("stop", f"images that {self.ann_file} lists twice", twice, "remove what is double")
        objects = select_objects(annotations, by_id, all_ids, self.category_ids, False, faults, findings)
        if annotations:
            check_classes(chosen, objects.labels, unused, findings)
        if strict:
            findings.raise_stops()
        position = {name: i for i, name in enumerate(by_id)}
        super().__init__(
            chosen,
            transform,
            [root / image_dir / image["file_name"] for image in images],
            list(by_id),
            np.array([(image["width"], image["height"]) for image in images]),
            np.array([position[name] for name in objects.image_ids], dtype=np.int64),
            objects.boxes,
            objects.labels,
            keep_empty=keep_empty,
            findings=findings,
        )
        self.faulty = objects.faulty

    def read_ground_truth(self) -> dict:
        """The annotations in COCO's format, without the faulty ones."""
        annotations = sound_annotations(self._content["annotations"], self.faulty, {})
        return {**self._content, "annotations": annotations}

    metainfo = CocoDetection.metainfo
