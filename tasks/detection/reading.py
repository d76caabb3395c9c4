"""Annotation files of objects: COCO's format and Pascal VOC's, and which of their objects can be trained."""

from __future__ import annotations

import json
import logging
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from hrtoolkit.tasks.detection.classes import resolve_classes

from hrtoolkit.config.values import suggest
from hrtoolkit.data.checks import check_pairs
from hrtoolkit.data.coco import layout_of_category
from hrtoolkit.data.doctor import Finding, Findings
from hrtoolkit.data.reading import read_json
from hrtoolkit.errors import DataError
from hrtoolkit.structures import KeypointLayout

log = logging.getLogger(__name__)

REQUIRED_FIELDS = {
    "images": {"id", "file_name", "width", "height"},
    "annotations": {"id", "image_id", "category_id", "bbox"},
    "categories": {"id", "name"},
}
Faults = Literal["stop", "drop"]


class Packed:
    """A list of json values in two arrays: loader workers share it instead of touching a million objects."""

    def __init__(self, values: Sequence):
        dumped = [np.frombuffer(json.dumps(value).encode(), np.uint8) for value in values]
        self.ends = np.cumsum([len(one) for one in dumped], dtype=np.int64)
        self.bytes = np.concatenate([*dumped, np.empty(0, np.uint8)])

    def __getitem__(self, index: int):
        start = self.ends[index - 1] if index else 0
        return json.loads(self.bytes[start : self.ends[index]].tobytes())


def read_coco(path: Path) -> dict:
    """Read a file in COCO's format.

    Raises:
        DataError: it cannot be read, or records lack what they need.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected COCO's format, an object with images, annotations and categories")
    for section in ("images", "categories"):
        if not content.get(section):
            raise DataError(f"{path}: {section!r} is missing or empty; expected COCO's instances format")
    content["annotations"] = content.get("annotations") or []  # COCO's test sets have none
    for section, fields in REQUIRED_FIELDS.items():
        for position, entry in enumerate(content[section]):
            if not isinstance(entry, dict):
                raise DataError(f"{path}: {section}[{position}] is {entry!r}, expected a json object")
            if missing := fields - entry.keys():
                raise DataError(f"{path}: {section}[{position}] lacks {sorted(missing)}")
            if not (_is_id(entry["id"]) or (section != "categories" and isinstance(entry["id"], str))):
                raise DataError(f"{path}: {section}[{position}] has {entry['id']!r} as id, expected a whole number")
    for image in content["images"]:
        sides = image["width"], image["height"]
        if not (all(_is_number(side) and 0 < side < np.inf for side in sides) and isinstance(image["file_name"], str)):
            raise DataError(f"{path}: image {image['id']!r} needs a file_name, and a width and height above 0")
    for category in content["categories"]:
        if not isinstance(category["name"], str):
            raise DataError(f"{path}: category {category['id']} has {category['name']!r} as name, expected text")
    return content


def check_ids(content: dict, findings: Findings) -> None:
    """Find ids that several records share, and texts among numbers.

    Annotations are told apart by their positions here, so that theirs are no reason to stop.

    Args:
        content: in COCO's format.
        findings: is told what is wrong.
    """
    for section, level, remedy in (
        ("images", "stop", "give each its own, or remove what is double"),
        ("annotations", "warning", "scores here do not depend on it, but pycocotools by itself keeps one alone"),
    ):
        ids = [record["id"] for record in content[section]]
        shared = [one for one, count in Counter(ids).items() if count > 1]
        findings.add(level, f"{section} that share an id, by id", shared, remedy)
        texts = [repr(one) for one in ids if isinstance(one, str)]
        if len(texts) < len(ids):
            findings.add(level, f"{section} with a text as id where others have a number", texts, "number them all")
    names = Counter(image["file_name"] for image in content["images"])
    again = [name for name, count in names.items() if count > 1]
    findings.add(
        "warning", "images listed under several ids, by name", again, "they count several times; list them once"
    )


def choose_categories(
    categories: list[dict], classes: Sequence[str] | None, path: Path
) -> tuple[tuple[str, ...], list[int]]:
    """Class names and category ids, label by label.

    Args:
        categories: COCO's.
        classes: names in the order of the labels, or None for all in the order of their ids.
        path: of the file, for messages.

    Raises:
        DataError: a name or id is there twice, or a class is not there.
    """
    ids = {category["name"]: category["id"] for category in sorted(categories, key=lambda c: c["id"])}
    if len(ids) != len(categories) or len(set(ids.values())) != len(categories):
        raise DataError(f"{path}: a category's name or id appears twice among {[c['name'] for c in categories]}")
    names = resolve_classes(classes) if classes is not None else tuple(ids)
    if unknown := [name for name in names if name not in ids]:
        raise DataError(f"{path}: no category is called {unknown}; the file has {list(ids)}")
    return names, [ids[name] for name in names]


def read_keypoint_layout(
    categories: list[dict], category_ids: list[int], path: Path, findings: Findings
) -> KeypointLayout:
    """Keypoint names of the categories in use, and from the names which of them are left and right of one another.

    Args:
        categories: COCO's, those of people with `keypoints`, a list of names.
        category_ids: ids of the classes in use.
        path: of the file, for messages.
        findings: is told of sides without a partner.

    Raises:
        DataError: there are no names, or the categories have different ones.
    """
    listed = [c for c in categories if c["id"] in category_ids and c.get("keypoints")]
    layouts = {layout_of_category(category, None, path) for category in listed}
    if len(layouts) != 1:
        what = "several lists of keypoints" if layouts else "no keypoint names"
        raise DataError(f"{path}: the categories in use have {what}; keypoints=True needs one list")
    (layout,) = layouts
    check_pairs(layout, findings)
    return layout


class Objects(NamedTuple):
    """N objects that can be trained, and what is to know of the other annotations of a file."""

    boxes: np.ndarray  # [N, 4] (x1, y1, x2, y2) in image pixels
    labels: np.ndarray  # [N]
    image_ids: list
    segmentations: list | None
    keypoints: np.ndarray | None  # [N, K, 3] x, y, flag
    faulty: frozenset[int]  # positions of faulty annotations in the file
    crowd_boxes: dict[int, list[float]]  # (x1, y1, x2, y2) by position, of crowds sound but for their segmentation


def select_objects(
    annotations: list[dict],
    images: dict,
    known_categories: list[int],
    category_ids: list[int],
    masks: bool,
    faults: Faults,
    findings: Findings,
    num_keypoints: int | None = None,
) -> Objects:
    """Choose the annotations that can be trained, and say what is wrong with others.

    A crowd's mask is never trained: where it is faulty, that is a warning, and `sound_annotations` has its box instead.
    Objects that are to be ignored count as crowds.

    Args:
        annotations: COCO's; they may bring `told_as`, what messages call them instead of their id.
        images: by id.
        known_categories: ids that the file explains.
        category_ids: ids of the classes in use, label by label.
        masks: look at segmentations.
        faults: whether faulty annotations stop training.
        findings: is told what is wrong.
        num_keypoints: K of the objects that have keypoints; None leaves keypoints alone.
    """
    told_as = np.array([a.get("told_as", a["id"]) for a in annotations])
    malformed = np.array([_is_malformed(a) for a in annotations], dtype=bool)
    blank = {"image_id": None, "category_id": -1, "bbox": [0, 0, 0, 0]}
    annotations = [blank if bad else a for a, bad in zip(annotations, malformed, strict=True)]
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
    ignored = np.array([bool(a.get("ignore", 0)) for a in annotations], dtype=bool)
    trained = ~crowd & ~ignored

    # Of each annotation the first reason that holds is told.
    faulty = {
        "have something else than numbers as box, ids, area, iscrowd or ignore": malformed,
        "belong to an image that is not listed": ~has_image,
        "have a category that is not listed": ~np.isin(categories, known_categories),
        "have no box of four finite numbers": ~(has_box & np.isfinite(boxes).all(axis=1)),
        "have a box whose corners are exchanged": (extent < 0).any(axis=1),
        "lie outside their image": (extent > 0).all(axis=1) & (extent_inside <= 0).any(axis=1),
    }
    if num_keypoints is not None:
        chosen = np.isin(categories, category_ids) & trained
        sound = np.array([_are_keypoints(a.get("keypoints"), num_keypoints) for a in annotations], dtype=bool)
        faulty[f"have keypoints that are not {num_keypoints} times x, y and a flag"] = chosen & ~sound
    states = np.zeros(len(annotations), dtype=np.str_)  # what is wrong with the segmentation
    if masks:
        pairs = zip(annotations, owners, strict=True)
        states = np.array([_segmentation_fault(a.get("segmentation"), owner) for a, owner in pairs], dtype=np.str_)
    wrong = sorted(set(states.tolist()) - {""})
    faulty |= {state: (states == state) & trained for state in wrong}
    all_faulty = np.any(list(faulty.values()), axis=0)
    crowds = (states != "") & ~trained & ~all_faulty
    for state in wrong:
        remedy = "a crowd's mask is not trained; where masks are scored, its box stands for it"
        found = told_as[crowds & (states == state)]
        findings.add("warning", f"crowds {state.replace('have', 'that have', 1)}", found, remedy)
    # COCO itself has a few of these.
    useless = {
        "have a box without extent": (extent_inside <= 0).any(axis=1),
        "have an area of zero": np.array([a.get("area", 1) <= 0 for a in annotations], dtype=bool),
    }
    others = {
        "are crowds": crowd,
        "are marked to be ignored": ignored,
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
            found = told_as[usable & holds]
            usable &= ~holds
            if len(found):
                counts.append(f"{len(found)} {reason}")
            if level is not None:
                findings.add(level, f"annotations {reason}", found, remedy)
    log.info(
        "%s: %d of %d annotations used%s",
        *(findings.where, usable.sum(), len(usable), f" ({', '.join(counts)})" if counts else ""),
    )
    if len(usable) and not usable.any() and not (faults == "stop" and all_faulty.any()):
        what = f"none of the {len(usable)} annotations can be used: {', '.join(counts)}"
        findings.append(Finding("stop", findings.where, what, (), 0, "correct the dataset's classes or the file"))

    kept = np.flatnonzero(usable)
    label_of = {category: label for label, category in enumerate(category_ids)}
    keypoints = None
    if num_keypoints is not None:
        missing = [0] * 3 * num_keypoints
        keypoints = np.array([annotations[i].get("keypoints") or missing for i in kept], dtype=np.float32)
        keypoints = keypoints.reshape(-1, num_keypoints, 3)
    return Objects(
        clipped[kept],
        np.array([label_of[category] for category in categories[kept].tolist()], dtype=np.int64),
        [annotations[i]["image_id"] for i in kept],
        [annotations[i]["segmentation"] for i in kept] if masks else None,
        keypoints,
        frozenset(np.flatnonzero(all_faulty).tolist()),
        dict(zip(np.flatnonzero(crowds).tolist(), clipped[crowds].tolist(), strict=True)),
    )


def check_classes(names: Sequence[str], labels: np.ndarray, unused: Sequence[str], findings: Findings) -> None:
    """Find classes in use without a single object.

    Args:
        names: of the classes in use.
        labels: of the objects that can be trained.
        unused: names of other classes in the file.
        findings: is told of them, with similar names among the others.
    """
    lowered = {name.lower(): name for name in unused}
    counts = np.bincount(labels, minlength=len(names))
    absent = [f"{name}{suggest(name.lower(), lowered)}" for name, n in zip(names, counts, strict=True) if not n]
    findings.add("warning", "classes that no usable object has", absent, "they are neither learned nor scored")


def sound_annotations(
    annotations: list[dict], faulty: frozenset[int], crowd_boxes: dict[int, list[float]]
) -> list[dict]:
    """What can be scored: not the faulty annotations, and of crowds with a faulty mask the box in its place.

    What is to be ignored becomes a crowd: finding it or not costs nothing.

    Args:
        annotations: all of a file.
        faulty: their positions.
        crowd_boxes: (x1, y1, x2, y2) of crowds with a faulty mask, by position.
    """
    sound = []
    for position, annotation in enumerate(annotations):
        if position in crowd_boxes:
            x1, y1, x2, y2 = crowd_boxes[position]
            annotation = {**annotation, "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]]}
        if position not in faulty:
            sound.append({**annotation, "iscrowd": 1} if annotation.get("ignore") else annotation)
    return sound


def _is_number(value) -> bool:
    return type(value) is float or _is_id(value)


def _is_id(value) -> bool:
    return type(value) is int and abs(value) < 2**63  # what an array of integers holds


def _is_malformed(annotation: dict) -> bool:
    """Whether a value is of a kind that nothing can be made of; what the numbers say is another matter."""
    box = annotation["bbox"]
    return not (
        isinstance(box, list | tuple)
        and all(map(_is_number, box))
        and isinstance(annotation["image_id"], int | str)
        and _is_id(annotation["category_id"])
        and _is_number(annotation.get("area", 1))
        and np.isfinite(annotation.get("area", 1))
        and annotation.get("iscrowd", 0) in (0, 1)
        and annotation.get("ignore", 0) in (0, 1)
    )


def _are_keypoints(values, count: int) -> bool:
    """Whether they can be read; None and [] are keypoints that nobody labelled."""
    return not values or (
        isinstance(values, list) and len(values) == 3 * count and all(_is_number(v) and np.isfinite(v) for v in values)
    )


def _segmentation_fault(segmentation: list | dict | None, image: dict) -> str:
    """What is wrong with a segmentation, or an empty string."""
    if not segmentation:
        return "have no segmentation"
    size = [image["height"], image["width"]]
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        if segmentation.get("size") != size:
            return "have run lengths of another size than their image"
        if isinstance(counts, str):
            counts = unpack_run_lengths(counts)
        if not (isinstance(counts, list) and all(type(count) is int and count >= 0 for count in counts)):
            return "have run lengths that are damaged"
        return "" if sum(counts) == size[0] * size[1] else "have run lengths that do not fill their image"
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        return "have a segmentation that is neither a list of polygons nor run lengths"
    try:
        polygons = [np.asarray(polygon, dtype=np.float64) for polygon in segmentation]
    except (TypeError, ValueError):
        return "have a polygon of something else than numbers"
    if any(polygon.ndim != 1 or len(polygon) % 2 for polygon in polygons):
        return "have a polygon that is no list of x, y, x, y, ..."
    if any(len(polygon) < 6 for polygon in polygons):
        return "have a polygon of fewer than three points"
    points = np.concatenate(polygons).reshape(-1, 2)
    # Farther off, or not finite, drawing them takes all memory; NaN is in no order with anything.
    if not (points.min() > -max(size) and points.max() < 2 * max(size)):
        return "have a polygon far outside their image"
    if (points.max(axis=0) <= 0).any() or (points.min(axis=0) >= size[::-1]).any():
        return "have all polygons outside their image"
    return ""


def unpack_run_lengths(text: str) -> list[int] | None:
    """Read compressed run lengths as pycocotools does, which reads on in memory where they are damaged; None if so.

    Each number is a row of characters, of 5 bits each from the lowest on and a 6th that tells whether it goes on; from
    the fourth on, numbers are differences from the one before the last.
    """
    codes = np.frombuffer(text.encode(errors="replace"), np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero(codes & 32 == 0)
    if not text.isascii() or not len(codes) or codes.min() < 0 or codes.max() > 63 or not len(ends):
        return None
    lengths = np.diff(ends, prepend=-1)  # characters a number
    if ends[-1] != len(codes) - 1 or lengths.max() > 6:
        return None
    starts = ends - lengths + 1
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((codes & 31) << shifts, starts)
    numbers -= np.where(codes[ends] & 16, 1 << (5 * lengths), 0)  # the highest bit is the sign
    numbers[1::2] = numbers[1::2].cumsum()
    numbers[2::2] = numbers[2::2].cumsum()
    return numbers.tolist()


def read_voc(path: Path, name: str) -> tuple[dict, list[dict]]:
    """Read one XML file of Pascal VOC as COCO's records.

    Args:
        path: of the file.
        name: of the image, its id.

    Returns:
        the image, and its objects, which still have a `name` instead of a category.

    Raises:
        DataError: there is no such file, or it is not in VOC's format.
    """
    try:
        root = ET.parse(path).getroot()
        size = root.find("size")
        image = {
            "id": name,
            "file_name": root.findtext("filename") or f"{name}.jpg",
            "width": int(size.findtext("width")),
            "height": int(size.findtext("height")),
        }
        if min(image["width"], image["height"]) <= 0:
            raise DataError(f"{path}: a size of {image['width']} x {image['height']}; write that of the image")
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
        if not all(annotation["name"] for annotation in annotations):
            raise ValueError("an object without a name")
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
