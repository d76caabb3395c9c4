"""FiftyOne's data sets as it exports them: samples.json and metadata.json (https://docs.voxel51.com).

Coordinates are fractions of the image. Every sample may have several fields with labels; those with a confidence are
predictions. A keypoint that is not there is NaN.
"""

from __future__ import annotations

import base64
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hrtoolkit.data.reading import read_json, stream_json
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.joining import join_points_to_boxes
from hrtoolkit.importers.shapes import outline_of_rings, paste_mask
from hrtoolkit.importers.source import SPLITS, Source
from hrtoolkit.importers.values import number, read_record

LABELS = {"Detections": "detections", "Polylines": "polylines", "Keypoints": "keypoints"}  # lists, by their class
SINGLE = {"Detection": "detections", "Polyline": "polylines", "Keypoint": "keypoints"}
GROUND_TRUTH = "ground_truth"
Skeleton = tuple[list[str], list[tuple[str, str]]]  # names of keypoints, and lines between them
LARGEST = 2**28  # bytes of a packed mask


@register_format("fiftyone", title="FiftyOne's format", suffixes=(".json",), mark=r'"samples"\s*:\s*\[')
def read_fiftyone(source: Source) -> Iterator[Picture]:
    """Read FiftyOne's detections, instance masks, polylines and keypoints."""
    for file in source.files:
        names = _keypoint_names(file, source)
        fields = _choose(file, source)
        join = source.join
        if join is None and set(fields.values()) >= {"detections", "keypoints"}:
            remedy = "keypoints get the box that they lie in; --no-join leaves them apart"
            source.note("boxes and keypoints in two fields", " and ".join(fields), remedy)
            join = True
        for index, sample in _samples(file):
            picture = None
            with read_record(source, f"{file.name}, sample {index}", "samples"):
                picture = _read_sample(sample, f"{file.name}, sample {index}", fields, names, file, source)
            if picture is not None:
                instances = join_points_to_boxes(picture.instances, source) if join else picture.instances
                yield picture._replace(instances=instances)


def _read_sample(
    sample: dict, where: str, fields: dict[str, str], names: dict[str, Skeleton], file: Path, source: Source
) -> Picture:
    path = sample["filepath"]
    found = source.find_image(path, file.parent)
    size = _size(sample) or (source.size_of(found) if found else None)
    instances = []
    for field, kind in fields.items():
        for place, label in enumerate(_list_labels(sample.get(field))):
            here = f"{where}, {field} {place}"
            with read_record(source, here, "labels"):
                if size is None:
                    raise ValueError("fractions of an image that is not there")
                one = _instance(kind, label, size, names.get(field, names.get("")), source, here)
                instances += [] if one is None else [one]
    tags = [SPLITS[tag.lower()] for tag in sample.get("tags") or () if tag.lower() in SPLITS]
    return Picture(path, instances, found, size, split=tags[0] if tags else source.split_of(file))


def _samples(file: Path) -> Iterator[tuple[int, Any]]:
    yield from enumerate(sample for section, sample in stream_json(file) if section == "samples")


def _list_labels(field: dict | None) -> list:
    """The labels of a field, of which some hold a single one."""
    if not field or field["_cls"] not in (*LABELS, *SINGLE):
        return []
    return field[LABELS[field["_cls"]]] if field["_cls"] in LABELS else [field]


def _is_predicted(label: Any) -> bool:
    """Whether a label, or a point of it, has a confidence."""
    confidence = label.get("confidence") if isinstance(label, dict) else None
    return any(isinstance(one, float) for one in (confidence if isinstance(confidence, list) else [confidence]))


def _choose(file: Path, source: Source) -> dict[str, str]:
    """The fields that people labelled, and the kind of labels in each."""
    kinds: dict[str, str] = {}
    predicted: set[str] = set()
    for _, sample in _samples(file):
        for field, label in sample.items() if isinstance(sample, dict) else ():
            kind = label.get("_cls") if isinstance(label, dict) else None
            if kind in LABELS or kind in SINGLE:
                kinds[field] = LABELS.get(kind) or SINGLE[kind]
                with read_record(source, f"{file.name}, {field}", "fields"):
                    predicted |= {field} if any(map(_is_predicted, _list_labels(label))) else set()
            elif kind not in (None, "ImageMetadata"):
                source.note(f"fields of {kind}", field)
    for field in predicted & kinds.keys():
        source.note("fields of predictions, which have a confidence", field)
    kinds = {field: kind for field, kind in kinds.items() if field not in predicted}
    for field in [field for field, kind in kinds.items() if kind == kinds.get(GROUND_TRUTH) and field != GROUND_TRUTH]:
        source.note(f"fields of the same kind as {GROUND_TRUTH}", field)
        del kinds[field]
    return kinds


def _keypoint_names(file: Path, source: Source) -> dict[str, Skeleton]:
    """Names and lines of the keypoints of each field, as metadata.json says; "" are those of all others."""
    path = file.parent / "metadata.json"
    found: dict[str, Skeleton] = {}
    if path.is_file():
        with read_record(source, path.name, "skeletons"):
            data = read_json(path)
            for field, one in {**(data.get("skeletons") or {}), "": data.get("default_skeleton")}.items():
                if one and one.get("labels"):
                    lines = [pair for edge in one.get("edges") or () for pair in pairwise(edge)]
                    found[field] = one["labels"], [(one["labels"][a], one["labels"][b]) for a, b in lines]
    return found


def _size(sample: dict) -> tuple[int, int] | None:
    width, height = ((sample.get("metadata") or {}).get(side) for side in ("width", "height"))
    return (int(number(width)), int(number(height))) if width and height else None


def _instance(
    kind: str, label: dict, size: tuple[int, int], skeleton: Skeleton | None, source: Source, where: str
) -> Instance | None:
    name = label.get("label")
    if not isinstance(name, str):
        raise ValueError("it has no label")
    if kind == "detections":
        x, y, width, height = (number(value) for value in label["bounding_box"])
        box = (x * size[0], y * size[1], (x + width) * size[0], (y + height) * size[1])
        mask = _read_mask(label["mask"], box, size) if label.get("mask") else None
        if mask is None and label.get("mask_path"):
            source.note("masks in files of their own", where)
        return Instance(name, box_xyxy=box, run_lengths=mask, crowd=bool(label.get("iscrowd")))
    if kind == "polylines":
        rings = [
            [number(v) * side for at in ring for v, side in zip(at, size, strict=True)] for ring in label["points"]
        ]
        if not label.get("filled") and not label.get("closed"):
            source.note("open polylines", where)
            return None
        return Instance(name, **outline_of_rings(rings, size))
    names, lines = skeleton or ([str(place + 1) for place in range(len(label["points"]))], [])
    if len(names) != len(label["points"]):
        raise ValueError(f"{len(label['points'])} points, its skeleton has {len(names)}")
    if name not in source.schemes:
        source.declare(name, names, lines)
    points = {}
    for point, (x, y) in zip(names, label["points"], strict=True):
        if x is not None and y is not None and not math.isnan(x) and not math.isnan(y):
            points[point] = (number(x) * size[0], number(y) * size[1], 2)
    return Instance(name, points=points)


def _read_mask(mask: Any, box: Sequence[float], size: tuple[int, int]) -> dict:
    """Unpack a mask of a box: zlib around a NumPy file, of any size."""
    packed = base64.b64decode(mask["$binary"]["base64"] if isinstance(mask, dict) else mask)
    data = np.load(io.BytesIO(zlib.decompressobj().decompress(packed, LARGEST)), allow_pickle=False)
    left, top = round(box[0]), round(box[1])
    shape = max(round(box[2]) - left, 1), max(round(box[3]) - top, 1)
    resized = cv2.resize((data != 0).astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST)
    return paste_mask(resized, left, top, size)
