"""Objects in images: COCO instances (and any file in its format) and Pascal VOC, in flat arrays.

One sample is one image.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy import ndarray
from rich.console import Console
from rich.progress import track

from hrtoolkit.data.coco import Images as CocoImages
from hrtoolkit.data.coco import Instances, read_instances, unpack_keys
from hrtoolkit.data.reading import find_image_folder, read_lines
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.findings import Findings, Level
from hrtoolkit.keypoints.checks import look_up
from hrtoolkit.masks import Masks, PackedSegmentations, find_segmentation_faults
from hrtoolkit.records import Objects
from hrtoolkit.registry import DATASETS
from hrtoolkit.samples import BaseSamples, Images
from hrtoolkit.schemes import ClassScheme, SchemeLike, resolve_scheme
from hrtoolkit.tasks.detection.checks import (
    OTHER,
    UNKNOWN,
    Annotated,
    Faults,
    check_classes,
    check_ids,
    select_objects,
)
from hrtoolkit.tasks.detection.mask_checks import AnnotatedMasks
from hrtoolkit.tasks.detection.reading import Pictures, VocImage, last_part, read_voc

log = logging.getLogger(__name__)

MIN_SIDE = 32  # smaller images are not trained on


class DetectionSamples(BaseSamples):
    """Images and their objects as flat arrays; a subclass reads one annotation format.

    Trained are objects that are neither crowds nor to be ignored and measure a pixel at least, after their boxes were
    cut at the edges of the image; scored is everything that is not faulty.

    Args:
        scheme: the classes.
        images: M of them.
        annotated: the objects in them.
        segmentations: of the objects, None where there are none.
        masks: whether training needs them.
        keep_empty: keep images without objects, and those with a side below 32 pixels, which seldom help training.
        faults: whether faulty annotations stop training.
        findings: what is wrong with the files.
        unused: names of other classes in the files.

    Raises:
        DataError: no image is left.
    """

    told: tuple[str, ...] = ("scheme", "masks")
    moved = MappingProxyType(
        {
            "classes": "model.head.scheme",
            "keypoints": lambda _: "no head reads them here",
            "strict": lambda _: "tools/check_data.py goes on with what is sound by itself",
        }
    )

    def __init__(
        self,
        *,
        scheme: ClassScheme,
        images: Images,
        annotated: Annotated,
        segmentations: PackedSegmentations | None,
        masks: bool,
        keep_empty: bool,
        faults: Faults,
        findings: Findings,
        unused: tuple[str, ...] = (),
    ):
        self.scheme, self.findings = scheme, findings
        self.is_annotated = annotated.count > 0  # test sets are not
        self.needs_masks = masks
        sound, trained, boxed = select_objects(annotated, faults, findings)
        if self.is_annotated:
            check_classes(scheme.names, annotated.objects.labels[trained], unused, findings)
        kept = np.arange(len(images.ids))
        if not keep_empty:
            kept = _find_useful(images.sizes_wh, annotated.owners[trained])
        if not len(kept):
            findings.raise_stops()
            raise DataError(f"{findings.where}: none of {len(images.ids)} images is left to use")
        position = np.full(len(images.ids) + 1, -1)  # the last one is that of an image that is not listed
        position[kept] = np.arange(len(kept))
        owners = position[annotated.owners]
        order = np.argsort(owners, kind="stable")
        order = order[(sound & (annotated.objects.labels >= 0) & (owners >= 0))[order]]
        self.images = Images(*(column[kept] for column in images))
        self.first = np.searchsorted(owners[order], np.arange(len(kept) + 1))  # object of each image
        self.objects = annotated.objects.select(order)
        self.boxed = boxed[order]
        self.trained = np.flatnonzero(trained[order])  # place of each object that training compares with
        self.first_trained = np.searchsorted(self.trained, self.first)  # of each image
        sizes_wh = self.images.sizes_wh[owners[order]]
        self.clipped = np.clip(self.objects.boxes_xyxy, 0, np.tile(sizes_wh, 2))  # [N, 4]
        self.learned = self.objects.select(self.trained)._replace(
            boxes_xyxy=self.clipped[self.trained].astype(np.float32), areas=None, crowd=None, ignored=None
        )
        self.segmentations = None if segmentations is None else segmentations.select(order)

    def truth(self, sample: int) -> Objects | None:
        if not self.is_annotated:
            return None
        first, end = self.first[sample : sample + 2].tolist()
        return self._with_masks(sample, self.objects.select(slice(first, end)), np.arange(first, end))

    def to_learn(self, sample: int) -> Objects:
        if self.needs_masks and self.segmentations is None:
            raise DataError(f"{self.findings.where}: there are no masks to train on; set model.head.masks=False")
        first, end = self.first_trained[sample : sample + 2].tolist()
        return self._with_masks(sample, self.learned.select(slice(first, end)), self.trained[first:end])

    def _with_masks(self, sample: int, objects: Objects, places: ndarray) -> Objects:
        if self.segmentations is None:
            return objects
        width, height = self.images.sizes_wh[sample].tolist()
        segmentations = [self._whole_box(i) if self.boxed[i] else self.segmentations[i] for i in places.tolist()]
        return objects._replace(masks=Masks((height, width), segmentations))

    def _whole_box(self, place: int) -> list[list[float]]:
        x1, y1, x2, y2 = self.clipped[place].tolist()
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def _find_useful(sizes_wh: ndarray, owners: ndarray) -> ndarray:
    """Positions of the images that help training: with an object, and not very small.

    Args:
        sizes_wh: [M, 2] of the images.
        owners: of the objects that can be trained.
    """
    has_object = np.bincount(owners, minlength=len(sizes_wh)) > 0
    is_large = sizes_wh.min(axis=1) >= MIN_SIDE
    useful = np.flatnonzero(has_object & is_large)
    log.info(
        "%d of %d images kept: %d have no usable object, %d are smaller than %d pixels",
        *(len(useful), len(sizes_wh), (~has_object).sum(), (~is_large).sum(), MIN_SIDE),
    )
    return useful


@DATASETS.register_module()
class CocoDetection(DetectionSamples):
    """COCO instances, or any file in COCO's format with its own categories (https://cocodataset.org).

    Labels count the chosen categories, by default all in the order of their ids.

    Args:
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root` or below `data_root/images`.
        scheme: the categories to use, in the order of their labels; None takes all of the file.
        masks: also read segmentations.
        keep_empty: keep images without objects, and very small ones.
        faults: "stop" refuses a file with faulty annotations, "drop" leaves them out and warns.

    Raises:
        DataError: a file is missing or malformed, or no image is left.
    """

    how_to_get = (
        "COCO 2017 is at https://cocodataset.org/#download: train2017.zip, val2017.zip and "
        "annotations_trainval2017.zip, unpacked side by side; --data-root names the folder. Without it, "
        "data of your own go by --data EXPORT, and `python tools/make_toy_data.py` in a clone makes toy data"
    )

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        image_dir: str,
        scheme: SchemeLike | None = None,
        masks: bool = False,
        keep_empty: bool = True,
        faults: Literal["stop", "drop"] = "stop",
    ):
        path = Path(data_root) / ann_file
        findings = Findings(path)
        images, instances, categories, count = read_instances(path, findings, masks, faults)
        check_ids(images, instances, findings)
        lacking = unpack_keys(instances.ids)[np.isnan(instances.areas)]
        findings.add("note", "annotations without `area`", lacking, "that of their box is taken, width x height")
        classes = _choose_classes(categories, scheme, path)
        unused = _find_unused(categories, instances.category_ids, classes.names)
        remedy = "they are neither trained nor scored; name them in the scheme if they should be"
        # Who lists the classes of a data set means it; who is told them by a model or other data may not know.
        level: Level = "warning" if isinstance(scheme, ClassScheme) else "note"
        told = [f"{name}, {count} annotations" for name, count in unused.items()]
        findings.add(level, "categories that the file has and the scheme has not", told, remedy)
        listed = np.unique(images.ids, return_index=True)[1]
        if len(listed) < len(images.ids):  # without those that share an id
            images = CocoImages(*(column[np.sort(listed)] for column in images))
        folder = find_image_folder(Path(data_root), image_dir)
        super().__init__(
            scheme=classes,
            images=Images(
                paths=np.array([os.fsencode(folder / os.fsdecode(name)) for name in images.names.tolist()]),
                ids=unpack_keys(images.ids),
                sizes_wh=np.nan_to_num(images.sizes, posinf=0.0).astype(np.int32),
            ),
            annotated=_refer(images, instances, count, classes.ids, [category["id"] for category in categories]),
            segmentations=instances.segmentations,
            masks=masks,
            keep_empty=keep_empty,
            faults=faults,
            findings=findings,
            unused=tuple(unused),
        )


def _choose_classes(categories: list[dict], scheme: SchemeLike | None, path: Path) -> ClassScheme:
    """The classes in use, with the ids of the file's categories.

    Raises:
        DataError: a name or id is there twice or of another kind, or a class is not there.
    """
    if odd := [category for category in categories if isinstance(category["id"], str)]:
        raise DataError(f"{path}: a category of objects needs a whole number as `id`, but there are {shorten(odd, 4)}")
    categories = [{**category, "id": int(category["id"])} for category in categories]
    ids = {category["name"]: category["id"] for category in sorted(categories, key=lambda c: c["id"])}
    if len(ids) != len(categories) or len(set(ids.values())) != len(categories):
        raise DataError(f"{path}: a category's name or id appears twice among {[c['name'] for c in categories]}")
    chosen = None if scheme is None else resolve_scheme(scheme, ClassScheme)
    if chosen is None or chosen.numbered:  # whoever only counts classes is held against their number later
        chosen = ClassScheme(tuple(ids))
    if unknown := [name for name in chosen.names if name not in ids]:
        raise DataError(f"{path}: no category is called {unknown}; the file has {list(ids)}")
    return dataclasses.replace(chosen, ids=tuple(ids[name] for name in chosen.names), ignored=())


def _find_unused(categories: list[dict], category_ids: ndarray, names: Sequence[str]) -> dict[str, int]:
    """Categories of a file that have annotations and are not among `names`, and how many they have."""
    counts = dict(zip(*(part.tolist() for part in np.unique(category_ids, return_counts=True)), strict=True))
    others = (category for category in categories if category["name"] not in names)
    return {one["name"]: counts[one["id"]] for one in others if one["id"] in counts}


def _refer(
    images: CocoImages, instances: Instances, count: int, class_ids: tuple[int, ...], known_ids: list[int]
) -> Annotated:
    """Look up images and classes of the annotations of a file.

    Args:
        images: of the file.
        instances: its annotations.
        count: of all of them, those too that could not be read.
        class_ids: category ids in use, label by label.
        known_ids: all that the file lists.
    """
    owners = look_up(instances.image_ids, images.ids)
    image_wh = np.where(owners[:, None] < 0, 0, images.sizes[owners])
    spelt = (np.char.strip(keys, b'"') for keys in (instances.image_ids, images.ids))
    otherwise = (owners < 0) & (look_up(*spelt) >= 0)
    labels = look_up(instances.category_ids, np.array(class_ids))
    labels[~np.isin(instances.category_ids, known_ids)] = UNKNOWN
    boxes_xyxy = instances.boxes.copy()
    boxes_xyxy[:, 2:] += boxes_xyxy[:, :2]
    mask_faults, masks = {}, None
    if instances.segmentations is not None:
        mask_faults = find_segmentation_faults(
            instances.states, instances.extents, instances.sizes_hw, instances.pixels, image_wh
        )
        every = np.arange(len(owners))
        masks = AnnotatedMasks(instances.states, instances.extents, instances.segmentations, every)
    objects = Objects(
        boxes_xyxy=boxes_xyxy,
        labels=labels,
        areas=np.where(np.isnan(instances.areas), instances.boxes[:, 2:].prod(axis=1), instances.areas),
        crowd=instances.crowd,
        ignored=instances.crowd | instances.ignored,
    )
    return Annotated(
        names=unpack_keys(instances.ids),
        owners=owners,
        image_wh=image_wh,
        objects=objects,
        count=count,
        malformed={"have a text as `image_id` for a number as the image's `id`, or a number for a text": otherwise},
        mask_faults=mask_faults,
        masks=masks,
    )


@DATASETS.register_module()
class VocDetection(DetectionSamples):
    """Pascal VOC, or one XML file an image in its format (Everingham et al., IJCV 2010).

    Convention: the files count pixels from 1 and include the last one, so that (xmin - 1, ymin - 1, xmax, ymax) is the
    box here. NAME.xml is of the picture NAME.*, whatever its <filename> says. "Difficult" objects are not trained, and
    finding them or not costs nothing.

    Args:
        data_root: folder of the data set, such as VOCdevkit/VOC2012.
        split_file: text file with one image name a line, below `data_root`.
        ann_dir: folder of the XML files.
        image_dir: folder of the images.
        scheme: the classes; None takes those in the files, sorted.
        masks: whether training needs masks, which the files do not have.
        keep_empty: keep images without objects, and very small ones.
        faults: "stop" refuses a file with faulty annotations, "drop" leaves them out and warns.

    Raises:
        DataError: a file is missing or malformed, or no image is left.
    """

    how_to_get = (
        "Pascal VOC is at http://host.robots.ox.ac.uk/pascal/VOC: VOCtrainval_11-May-2012.tar holds VOCdevkit/VOC2012; "
        "--data-root names that folder"
    )

    def __init__(
        self,
        *,
        data_root: str,
        split_file: str = "ImageSets/Main/trainval.txt",
        ann_dir: str = "Annotations",
        image_dir: str = "JPEGImages",
        scheme: SchemeLike | None = None,
        masks: bool = False,
        keep_empty: bool = True,
        faults: Literal["stop", "drop"] = "stop",
    ):
        root = Path(data_root)
        findings = Findings(root / ann_dir)
        names, files = _read_files(_read_split(root / split_file, findings), root / ann_dir, faults, findings)
        in_files = Counter(name for file in files for name in file.classes if name)
        if scheme is None and not in_files:
            findings.raise_stops()
            raise DataError(f"{root / ann_dir}: no file has an object to take classes from; give the dataset's scheme")
        classes = resolve_scheme(sorted(in_files) if scheme is None else scheme, ClassScheme)
        classes = dataclasses.replace(classes, ids=tuple(range(1, len(classes.names) + 1)), ignored=())
        unused = tuple(sorted(in_files.keys() - set(classes.names)))
        told = [f"{name}, {in_files[name]} objects" for name in unused]
        remedy = "they are not trained; name them in the dataset's scheme if they should be"
        findings.add("warning", "classes that the files have and the dataset's scheme has not", told, remedy)
        pictures = Pictures(root / image_dir)
        super().__init__(
            scheme=classes,
            images=Images(
                paths=np.array(
                    [os.fsencode(pictures.find(n, f.named)) for n, f in zip(names, files, strict=True)], np.bytes_
                ),
                ids=np.array(names, np.str_),
                sizes_wh=np.array([(file.width, file.height) for file in files], dtype=np.int32).reshape(-1, 2),
            ),
            annotated=_join_files(names, files, classes),
            segmentations=None,
            masks=masks,
            keep_empty=keep_empty,
            faults=faults,
            findings=findings,
            unused=unused,
        )


def _read_files(names: list[str], folder: Path, faults: Faults, findings: Findings) -> tuple[list[str], list[VocImage]]:
    """The XML files of these images, as far as they can be read, and the names of these images."""
    files, refused, elsewhere = {}, [], []
    for name in track(names, "reading XML", console=Console(stderr=True), disable=len(names) < 2000):
        try:
            files[name] = file = read_voc(folder / f"{name}.xml")
        except DataError as error:
            refused.append(f"{name}.xml: {error}")
            continue
        own, named = (unicodedata.normalize("NFC", last_part(text)) for text in (name, file.named))
        if named and own not in (named, Path(named).stem):
            elsewhere.append(f"{name}.xml names {file.named}")
    level: Level = "stop"
    remedy = 'correct them, or leave their images out by the dataset\'s faults="drop"'
    if faults == "drop":
        level, remedy = "warning", "their images are left out"
    findings.add(level, "files that cannot be used", refused, remedy)
    remedy = "NAME.xml is read with the picture NAME.*; if its boxes belong to the other one, rename the file"
    findings.add("warning", "files whose <filename> names another picture", elsewhere, remedy)
    return list(files), list(files.values())


def _read_split(path: Path, findings: Findings) -> list[str]:
    """The image names of a split, each once."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; it lists the images of a split, one a line")
    # Lists of a class have a second column of -1, 0 and 1.
    listed = [re.sub(r"\s+(-1|0|1)$", "", line.strip()) for _, line in read_lines(path)]
    if not listed:
        raise DataError(f"{path}: the list is empty; it names the images of a split, one a line")
    twice = [name for name, count in Counter(listed).items() if count > 1]
    findings.add("stop", f"images that {path} lists twice", twice, "remove what is double")
    return list(dict.fromkeys(listed))


def _join_files(names: list[str], files: list[VocImage], classes: ClassScheme) -> Annotated:
    """The objects of all files.

    Args:
        names: of the images.
        files: one an image.
        classes: those in use.
    """
    label_of = {name: label for label, name in enumerate(classes.names)}
    called = [c for file in files for c in file.classes]
    owners = np.repeat(np.arange(len(files)), [len(file.classes) for file in files])
    boxes_xywh = np.array([box for file in files for box in file.boxes_xywh], dtype=np.float64).reshape(-1, 4)
    sizes_wh = np.array([(file.width, file.height) for file in files], dtype=np.float64).reshape(-1, 2)
    objects = Objects(
        boxes_xyxy=np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1),
        labels=np.array([label_of.get(name, OTHER) for name in called], dtype=np.int64),
        areas=boxes_xywh[:, 2] * boxes_xywh[:, 3],
        crowd=np.zeros(len(owners), dtype=bool),
        ignored=np.array([flag for file in files for flag in file.difficult], dtype=bool),
    )
    return Annotated(
        names=np.array(
            [f"{c or 'object'} in {name}.xml" for name, file in zip(names, files, strict=True) for c in file.classes]
        ),
        owners=owners,
        image_wh=sizes_wh[owners],
        objects=objects,
        count=len(owners),
        malformed={
            "have no name": np.array([not name for name in called], dtype=bool),
            "have something else than 0 or 1 as `difficult`": np.array(
                [is_odd for file in files for is_odd in file.odd], dtype=bool
            ),
        },
        mask_faults={},
        masks=None,
    )
