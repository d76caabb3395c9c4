"""Files in COCO's format as flat arrays: a million people, no million Python objects (https://cocodataset.org).

Files are read record by record and packed a few thousand at a time. Records whose fields hold something else than
`hrtoolkit.data.fields` allows are findings; what the others say is checked where they are used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from hrtoolkit.data.coco_parts import Part, flatten, is_nested, split_parts
from hrtoolkit.data.fields import (
    ABSENT,
    BOX,
    COUNT,
    FLAG,
    ID,
    NUMBER,
    NUMBERS,
    PAIR,
    QUANTITY,
    TEXT,
    Field,
    are_sound,
    find_faults,
)
from hrtoolkit.data.foreign import refusal, stream_coco
from hrtoolkit.errors import DataError, OptionError, shorten, suggest
from hrtoolkit.findings import Findings, Level
from hrtoolkit.masks import PackedSegmentations, inspect_segmentation
from hrtoolkit.schemes import ClassScheme, KeypointScheme, SchemeLike, resolve_scheme
from hrtoolkit.schemes.known import find_data_sets

Faults = Literal["stop", "drop"]
# What is done with faulty records: the level of the finding, and its remedy.
FAULTS: dict[str, tuple[Level, str]] = {
    "stop": ("stop", 'correct them, or leave them out by the dataset\'s faults="drop"'),
    "drop": ("warning", "they are left out"),
}
PACKED = 4096  # records that are Python objects at a time
NO_BOX = (np.nan,) * 4
NAME = Field("a file name", TEXT.types, lambda v: v != "" and "\0" not in v)
IMAGE_FIELDS = {"id": ID, "file_name": NAME, "width": QUANTITY, "height": QUANTITY, "crowdIndex": QUANTITY.or_nothing()}
PERSON_FIELDS = {
    "id": ID,
    "image_id": ID,
    "category_id": ID,
    "bbox": BOX._replace(allows=lambda v: len(v) in (0, 4)).or_nothing(),
    "area": QUANTITY.or_nothing(),
    "iscrowd": FLAG.or_nothing(),
    "ignore": FLAG.or_nothing(),
    "num_keypoints": COUNT.or_nothing(),
    "keypoints": NUMBERS._replace(entries=NUMBER | ABSENT).or_nothing(),  # null where a point is not labelled
    "center": PAIR.or_nothing(),
    "scale": Field("a number or numbers", NUMBER | {list}, lambda v: v != [], NUMBER).or_nothing(),
}
DETECTION_FIELDS = {"image_id": ID, "category_id": ID, "bbox": BOX, "score": QUANTITY}
INSTANCE_FIELDS = {
    "id": ID,
    "image_id": ID,
    "category_id": COUNT,
    "bbox": BOX,
    "area": QUANTITY.or_nothing(),
    "iscrowd": FLAG.or_nothing(),
    "ignore": FLAG.or_nothing(),
}


class Images(NamedTuple):
    """M images of a file, in its order. Ids are byte strings of json: a text is not the number that it spells."""

    ids: np.ndarray  # [M]
    names: np.ndarray  # [M] byte strings
    sizes: np.ndarray  # [M, 2] width and height
    crowding: np.ndarray  # [M] CrowdPose's `crowdIndex`, how much people cover each other; NaN where absent


class Annotations(NamedTuple):
    """A annotations of a file, in its order and of every category; what is absent is NaN, or -1 for a count.

    Ids of images and categories are byte strings of json, as those of `Images` are.
    """

    ids: np.ndarray  # [A] integers, or all texts
    image_ids: np.ndarray  # [A]
    category_ids: np.ndarray  # [A]
    crowd: np.ndarray  # [A] bool
    ignored: np.ndarray  # [A] bool, by the field `ignore`
    areas: np.ndarray  # [A]
    boxes: np.ndarray  # [A, 4] left, top, width, height
    num_keypoints: np.ndarray  # [A]
    lengths: np.ndarray  # [A] how many of `keypoints` belong to each annotation
    keypoints: np.ndarray  # [sum of lengths] x, y, visibility, ... of all annotations one after another
    windows: np.ndarray  # [A, 3] float32, centre (x, y) and side in pixels, as OpenMMLab's face files have them
    states: np.ndarray  # [A] of the segmentations, see `Instances`, as the next three; empty where none are wanted
    extents: np.ndarray  # [A, 4]
    sizes_hw: np.ndarray  # [A, 2]
    pixels: np.ndarray  # [A]
    segmentations: PackedSegmentations | None  # A, of crowds and of people without a labelled keypoint


class Instances(NamedTuple):
    """A annotations of objects of every category, in the file's order; ids are byte strings of json."""

    ids: np.ndarray  # [A]
    image_ids: np.ndarray  # [A]
    category_ids: np.ndarray  # [A] int64
    boxes: np.ndarray  # [A, 4] left, top, width, height
    areas: np.ndarray  # [A], NaN where absent
    crowd: np.ndarray  # [A] bool
    ignored: np.ndarray  # [A] bool, by the field `ignore`
    states: np.ndarray  # [A] of the segmentations, see `inspect_segmentation`; empty where none are wanted
    extents: np.ndarray  # [A, 4] likewise
    sizes_hw: np.ndarray  # [A, 2] likewise
    pixels: np.ndarray  # [A] likewise
    segmentations: PackedSegmentations | None  # A


class Detections(NamedTuple):
    """D boxes of a file in COCO's results format; ids are byte strings of json."""

    image_ids: np.ndarray  # [D]
    category_ids: np.ndarray  # [D]
    boxes: np.ndarray  # [D, 4] left, top, width, height
    scores: np.ndarray  # [D]


def read_annotations(
    path: Path,
    findings: Findings,
    faults: Faults = "stop",
    needs_annotations: bool = True,
    masks: bool = False,
    parts: Sequence[Part] | None = None,
) -> tuple[Images, Annotations, list[dict]]:
    """Read a keypoint file; the last are its categories as they stand there.

    Args:
        path: of the json file.
        findings: gets the records that cannot be used.
        faults: whether they stop training.
        needs_annotations: refuse a file without annotations.
        masks: also read segmentations of crowds and of people without a labelled keypoint.
        parts: fields that hold the keypoints; None for COCO's own.

    Raises:
        DataError: the file cannot be read, or is not in COCO's format.
    """
    images = _Table("images", IMAGE_FIELDS, _pack_images, findings, faults)
    annotations = _Table("annotations", PERSON_FIELDS, partial(_pack_annotations, masks=masks), findings, faults)
    nested: list = []
    seen: set[str] = set()  # fields of parts that any annotation has
    wanted = {name for part in parts or () for name in part.keypoints}

    def take(record: Any) -> None:
        if isinstance(record, dict):
            seen.update(wanted & record.keys())
        for one in (record,) if parts is None else split_parts(record, parts):
            if isinstance(one, dict) and is_nested(one.get("keypoints")):
                nested.append(one.get("id"))
                one = {**one, "keypoints": flatten(one["keypoints"])}
            annotations.append(one)

    categories = _fill_tables(path, images, annotations, take)
    for part in parts or ():
        if annotations.count and not seen & set(part.keypoints):
            expected = "take the file that the config's own text names, or correct the dataset's `parts`"
            raise DataError(f"{path}: no annotation has {' or '.join(part.keypoints)}; {expected}")
    findings.add("note", "annotations with a list of numbers for each keypoint", nested, "they are read in their order")
    if needs_annotations and not annotations.count:
        raise DataError(f"{path}: 'annotations' is missing or empty; expected COCO's keypoint format")
    listed, (ids, *others, lengths, text) = Images(*images.columns()), annotations.columns()
    if not len(listed.ids):
        told = "; ".join(str(finding) for finding in findings if finding.what.startswith("images"))
        raise DataError(f"{path}: none of {images.count} images can be used: {told}")
    segmentations = PackedSegmentations(text, lengths) if masks else None
    return listed, Annotations._make([unpack_keys(ids), *others, segmentations]), categories


def read_instances(
    path: Path, findings: Findings, masks: bool, faults: Faults = "stop"
) -> tuple[Images, Instances, list[dict], int]:
    """Read a file of objects, perhaps without annotations.

    Args:
        path: of the json file.
        findings: gets the records that cannot be used.
        masks: also read segmentations.
        faults: whether they stop training.

    Returns:
        images, annotations, categories as they stand there, and how many annotations there are, faulty ones too.

    Raises:
        DataError: the file cannot be read, or is not in COCO's format.
    """
    images = _Table("images", IMAGE_FIELDS, _pack_images, findings, faults)
    annotations = _Table("annotations", INSTANCE_FIELDS, partial(_pack_instances, masks=masks), findings, faults)
    categories = _fill_tables(path, images, annotations)
    *columns, lengths, text = annotations.columns()
    segmentations = PackedSegmentations(text, lengths) if masks else None
    return Images(*images.columns()), Instances._make([*columns, segmentations]), categories, annotations.count


def _fill_tables(
    path: Path, images: _Table, annotations: _Table, take: Callable[[Any], None] | None = None
) -> list[dict]:
    """Read a file into tables; its categories are given back.

    Args:
        path: of the file.
        images: gets its images.
        annotations: gets its annotations, by way of `take` where there is one.
        take: of an annotation as it stands there.
    """
    categories: list[dict] = []
    takers = {"images": images.append, "annotations": take or annotations.append, "categories": categories.append}
    for section, record in stream_coco(path):
        if section == "":
            expected = "expected COCO's format, an object with images, annotations and categories"
            raise refusal(path) or DataError(f"{path}: {expected}")
        if section in takers:
            takers[section](record)
    for section, count in {"images": images.count, "categories": len(categories)}.items():
        if not count:
            raise refusal(path) or DataError(f"{path}: {section!r} is missing or empty; expected COCO's format")
    found = Findings(path)
    for position, category in enumerate(categories):
        for fault, value in find_faults(category, {"id": ID, "name": TEXT}):
            found.add("stop", f"categories {fault}", [f"categories[{position}]: {value or category}"], "correct them")
    found.raise_stops()
    return categories


def read_detections(path: Path, findings: Findings) -> Detections:
    """Read boxes in COCO's results format; those that cannot be used are left out.

    Args:
        path: of the json file.
        findings: is told which.

    Raises:
        DataError: the file cannot be read, or is no list.
    """
    table = _Table("detections", DETECTION_FIELDS, _pack_detections, findings, faults="drop")
    results = "COCO's results format"
    for section, record in stream_coco(path, results):
        if section != "":
            message = f"{path}: expected {results}, a list of detections; is it a file of annotations?"
            raise refusal(path, results) or DataError(message)
        table.append(record)
    return Detections(*table.columns())


def find_categories(categories: list[dict], wanted: str | Sequence[str] | None, path: Path) -> list[dict]:
    """The categories of these names; for None those with keypoints, or the only one there is.

    Raises:
        DataError: there is none, or their keypoints differ.
    """
    names = [category["name"] for category in categories]
    chosen = [category for category in categories if category.get("keypoints")]
    if wanted is not None:
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        if unknown := [name for name in wanted if name not in names]:
            near = "".join(suggest(name, names) for name in unknown)
            raise DataError(f"{path}: no category is called {', '.join(unknown)} among {shorten(names)}{near}")
        chosen = [category for category in categories if category["name"] in wanted]
    elif not chosen and len(categories) == 1:
        chosen = categories
    if not chosen:
        raise DataError(
            f"{path}: no category has keypoints among {shorten(names)}; set the dataset's `category`, and name the "
            "keypoints by its `scheme`, for example scheme=dict(names=[...])"
        )
    if any(category.get("keypoints") != chosen[0].get("keypoints") for category in chosen):
        counts = [f"{category['name']} with {len(category.get('keypoints') or ())}" for category in chosen]
        raise DataError(
            f"{path}: {len(chosen)} categories with different keypoints ({shorten(counts)}); set the dataset's "
            "`category` to one of them, or to a list of those that are alike"
        )
    return chosen


def count_from(annotations: Annotations, first_pixel: int) -> Annotations:
    """Annotations of a file that counts pixels from another number, counted from 0.

    Args:
        annotations: of the file.
        first_pixel: what it calls the first one.
    """
    starts = np.repeat(np.cumsum(annotations.lengths) - annotations.lengths, annotations.lengths)
    coordinate = (np.arange(len(annotations.keypoints)) - starts) % 3 < 2
    return annotations._replace(
        boxes=annotations.boxes - [first_pixel, first_pixel, 0, 0],
        keypoints=annotations.keypoints - np.float32(first_pixel) * coordinate,
    )


def count_keypoints(annotations: Annotations, categories: list[dict]) -> int | None:
    """How many keypoints the annotations of these categories have; None where they have none, or not all as many."""
    ours = np.isin(annotations.category_ids, np.array([pack_key(category["id"]) for category in categories]))
    lengths = np.unique(annotations.lengths[ours & (annotations.lengths > 0)])
    return int(lengths[0]) // 3 if len(lengths) == 1 and lengths[0] % 3 == 0 else None


def scheme_of_categories(
    categories: list[dict],
    scheme: SchemeLike | None,
    path: Path,
    findings: Findings,
    count: int | None = None,
    whole: bool = False,
) -> KeypointScheme:
    """Join what the file's categories say of their keypoints, which are alike, with what config or model adds.

    The scheme of a model never renames keypoints of the file: what it knows of them is taken by name. One that a config
    states may: files often name other keypoints than they have. Both stand in for names of the file that are fewer or
    more than its keypoints, and for those that only the data set's own files have.

    Args:
        categories: of the file.
        scheme: of a model; or of a config: a known name, names, or fields that complete or replace those of the
            categories.
        path: of the file, for messages.
        findings: is told of lines of the skeleton that do not fit, and of names that are not those of the keypoints.
        count: how many keypoints the annotations have; None where they have none, or not all the same number.
        whole: whether some of the scheme's keypoints are not enough.

    Raises:
        DataError: there are no names, they make no scheme, or they are those of another data set.
    """
    category = categories[0]
    names = category.get("keypoints") or []
    try:
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"the keypoints of category {category['name']!r} should be a list of names, got {names!r}")
        completes = scheme is None or (isinstance(scheme, Mapping) and "names" not in scheme)
        stated = None if completes else _state(scheme)
        if not names and stated is None:
            raise ValueError(
                f"category {category['name']!r} lists no keypoint names; give them in the dataset's `scheme`, for "
                "example scheme=dict(names=[...])"
            )
        if stated is None:
            found = _scheme_of_file(category, dict(scheme) if isinstance(scheme, Mapping) else {}, findings)
        elif names and count == len(stated.names) != len(names):
            what = f"category {category['name']!r} names {len(names)} keypoints, and its annotations have {count}"
            findings.add("note", what, [category["id"]], f"they are read as those of {stated.title or 'the scheme'}")
            found = stated
        elif not names or tuple(names) == stated.file_names:
            found = stated
        else:
            _check_set(tuple(names), stated, whole)
            if set(names) <= set(stated.names):
                found = stated.take(names)
            else:
                found = _scheme_of_file(category, {}, findings) if isinstance(scheme, KeypointScheme) else stated
        ids = tuple(int(one["id"]) if isinstance(one["id"], float) else one["id"] for one in categories)
        return replace(found, classes=ClassScheme(tuple(one["name"] for one in categories), ids=ids))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None


def _state(scheme: SchemeLike | None) -> KeypointScheme:
    """The scheme that a config states for a dataset.

    Raises:
        ValueError: it is none.
    """
    try:
        return resolve_scheme(scheme, KeypointScheme)
    except OptionError as error:
        raise ValueError(f"the dataset's `scheme`: {error}") from None


def _check_set(names: tuple[str, ...], stated: KeypointScheme, whole: bool) -> None:
    """Refuse names that are those of another known data set than the one that is stated.

    Args:
        names: of the file.
        stated: of a config or a model.
        whole: whether some of its keypoints are not enough.

    Raises:
        ValueError: they are another data set's.
    """
    data_sets = find_data_sets(names)
    if not data_sets or not stated.title or names in (stated.names, stated.file_names):
        return
    if whole or not set(names) <= set(stated.names):
        raise ValueError(
            f"these are the {len(names)} keypoints of {' or '.join(data_sets)}, not the {len(stated.names)} of "
            f"{stated.title}; take the config of this data set, or correct the dataset's `ann_file`"
        )


def _scheme_of_file(category: dict, fields: dict, findings: Findings) -> KeypointScheme:
    names = {"names": category["keypoints"]}
    if "mirrored" in category:  # not COCO's own: what `hrtoolkit import` knows of mirror partners
        names["mirrored"] = category["mirrored"]
    if "skeleton" not in fields:
        return resolve_scheme({**names, **fields, "skeleton": _read_skeleton(category, findings)}, KeypointScheme)
    known = resolve_scheme({**names, **fields}, KeypointScheme)
    return replace(known, skeleton=fields["skeleton"])  # also of names that a known scheme has


def _read_skeleton(category: dict, findings: Findings) -> list[tuple[str, str]]:
    """The lines of a category's skeleton as pairs of names; it is only drawn, so what does not fit is left out."""
    names, skeleton = category["keypoints"], category.get("skeleton") or []
    lines = skeleton if isinstance(skeleton, list) else [skeleton]
    pairs = [line for line in lines if isinstance(line, list) and len(line) == 2]
    ends = [end for line in pairs for end in line if type(end) is int]
    first = 0 if 0 in ends and max(ends) < len(names) else 1
    known = {**dict(enumerate(names, start=first)), **{name: name for name in names}}
    found, named, stray = [], [], []
    for line in lines:
        if line in pairs and all(type(end) in (int, str) and end in known for end in line):
            found.append((known[line[0]], known[line[1]]))
            if str in map(type, line):
                named.append(str(line))
        else:
            stray.append(str(line))
    remedy = "it is only drawn; scheme=dict(skeleton=[...]) in the dataset replaces it"
    what = f"lines of the skeleton of category {category['name']!r}"
    if first == 0:
        findings.add("warning", f"{what}, which is counted from 0", [str(line) for line in pairs], remedy)
    findings.add("warning", f"{what} that are names and not numbers", named, remedy)
    remedy = f"they are left out: {remedy}"
    findings.add("warning", f"{what} that join none of its {len(names)} keypoints, counted from 1", stray, remedy)
    return found


class _Table:
    """Records on their way into arrays; without fields they are packed as they are."""

    def __init__(
        self, name: str, fields: Mapping[str, Field], pack: Callable, findings: Findings, faults: Faults = "stop"
    ):
        self.name, self.fields, self.pack, self.findings, self.faults = name, fields, pack, findings, faults
        self.count = 0
        self.pending: list = []
        self.packed = [_Column(empty) for empty in pack([])]
        self.faulty: dict[str, list[str]] = {}

    def append(self, record: dict) -> None:
        self.pending.append(record)
        self.count += 1
        if len(self.pending) == PACKED:
            self._pack_pending()

    def columns(self) -> list[np.ndarray]:
        self._pack_pending()
        level, remedy = FAULTS[self.faults]
        for fault, places in self.faulty.items():
            self.findings.add(level, f"{self.name} {fault}", places, remedy)
        return [column.finish() for column in self.packed]

    def _pack_pending(self) -> None:
        records, self.pending = self.pending, []
        if self.fields and not are_sound(records, self.fields):
            first = self.count - len(records)
            records = [r for position, r in enumerate(records, start=first) if not self._is_faulty(r, position)]
        try:
            packed = self.pack(records)
        except OverflowError:
            packed = self.pack([record for record in records if not self._is_too_large(record)])
        for column, part in zip(self.packed, packed, strict=True):
            column.extend(part)

    def _is_too_large(self, record: dict) -> bool:
        try:
            self.pack([record])
        except OverflowError:
            self.faulty.setdefault("with numbers that are too large", []).append(f"id {record.get('id')!r}")
            return True
        return False

    def _is_faulty(self, record: object, position: int) -> bool:
        faults = list(find_faults(record, self.fields))
        where = f"{self.name}[{position}]"
        if isinstance(record, dict) and "id" in record:
            where += f" with id {record['id']!r}"
        for fault, value in faults:
            self.faulty.setdefault(fault, []).append(f"{where}: {value}" if value else where)
        return bool(faults)


class _Column:
    """An array that grows in place: pieces that wait to be joined would double the peak and leave holes in the heap."""

    def __init__(self, empty: np.ndarray):
        self.rows, self.count = empty.copy(), 0  # its own memory, which can be resized

    def extend(self, part: np.ndarray) -> None:
        total = self.count + len(part)
        if part.dtype.kind in "SU" and (not self.count or part.dtype.itemsize > self.rows.dtype.itemsize):
            self.rows = self.rows.astype(part.dtype)  # longer texts
        if total > len(self.rows):
            self.rows.resize((max(total, 2 * len(self.rows)), *part.shape[1:]), refcheck=False)
        self.rows[self.count : total] = part
        self.count = total

    def finish(self) -> np.ndarray:
        self.rows.resize((self.count, *self.rows.shape[1:]), refcheck=False)
        return self.rows


def _pack_images(records: list[dict]) -> tuple[np.ndarray, ...]:
    return (
        _pack_keys([r["id"] for r in records]),
        np.array([_encode_name(r["file_name"]) for r in records], dtype=np.bytes_),
        np.array([(r["width"], r["height"]) for r in records], dtype=np.float64).reshape(-1, 2),
        np.array([r.get("crowdIndex") for r in records], dtype=np.float64),  # None becomes NaN
    )


def _encode_name(name: str) -> bytes:
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # half a surrogate pair: no file has this name, and whoever opens it will say so
        return name.encode(errors="surrogatepass")


def _pack_annotations(records: list[dict], masks: bool) -> tuple[np.ndarray, ...]:
    keypoints = [r.get("keypoints") or () for r in records]
    boxes = [r.get("bbox") or NO_BOX for r in records]
    lengths = np.array([len(values) for values in keypoints], dtype=np.int32)
    return (
        _pack_keys([r["id"] for r in records]),
        _pack_keys([r["image_id"] for r in records]),
        _pack_keys([r["category_id"] for r in records]),
        np.array([r.get("iscrowd") or 0 for r in records], dtype=bool),
        np.array([r.get("ignore") or 0 for r in records], dtype=bool),
        np.array([r.get("area") for r in records], dtype=np.float64),  # None becomes NaN
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array([-1 if r.get("num_keypoints") is None else r["num_keypoints"] for r in records], dtype=np.int32),
        lengths,
        np.fromiter(chain.from_iterable(keypoints), np.float32, count=int(lengths.sum())),
        np.array([_window(r) for r in records], dtype=np.float32).reshape(-1, 3),
        *_pack_segmentations([None if _is_labelled(r) else r.get("segmentation") for r in records] if masks else []),
    )


def _is_labelled(record: dict) -> bool:
    """Whether a person is one alone and has a labelled keypoint."""
    return not record.get("iscrowd") and any(v is not None and v > 0 for v in (record.get("keypoints") or ())[2::3])


def _pack_instances(records: list[dict], masks: bool) -> tuple[np.ndarray, ...]:
    return (
        _pack_keys([r["id"] for r in records]),
        _pack_keys([r["image_id"] for r in records]),
        np.array([r["category_id"] for r in records], dtype=np.int64),
        np.array([r["bbox"] for r in records], dtype=np.float64).reshape(-1, 4),
        np.array([r.get("area") for r in records], dtype=np.float64),  # None becomes NaN
        np.array([r.get("iscrowd") or 0 for r in records], dtype=bool),
        np.array([r.get("ignore") or 0 for r in records], dtype=bool),
        *_pack_segmentations([r.get("segmentation") for r in records] if masks else []),
    )


def _pack_segmentations(segmentations: list) -> tuple[np.ndarray, ...]:
    """What `inspect_segmentation` says of each, the lengths of their json, and all of it one after another."""
    texts = [json.dumps(one, separators=(",", ":")).encode() for one in segmentations]
    columns = zip(*map(inspect_segmentation, segmentations), strict=True)
    states, extents, sizes_hw, pixels = columns if segmentations else ((),) * 4
    return (
        np.array(states, dtype=np.uint8),
        np.array(extents, dtype=np.float64).reshape(-1, 4),
        np.array(sizes_hw, dtype=np.float64).reshape(-1, 2),
        np.array(pixels, dtype=np.float64),
        np.array([len(text) for text in texts], dtype=np.int32),
        np.frombuffer(b"".join(texts), dtype=np.uint8),
    )


def _pack_keys(ids: list) -> np.ndarray:
    """Ids as byte strings of json, which `unpack_keys` turns back."""
    return np.array([pack_key(value) for value in ids], dtype=np.bytes_)


def pack_key(value: int | float | str) -> bytes:
    """An id as a byte string of json; a number with a fraction of zero is a whole number."""
    return (json.dumps(value) if isinstance(value, str) else str(int(value))).encode()


def unpack_keys(keys: np.ndarray) -> np.ndarray:
    """Ids as numbers, or all as texts where one is a text."""
    if are_texts(keys).any():
        return np.array([str(json.loads(key)) for key in keys.tolist()])
    return keys.astype(np.int64)


def are_texts(keys: np.ndarray) -> np.ndarray:
    """Which ids are texts, bool [N]."""
    return np.char.startswith(keys, b'"')


def _window(record: dict) -> tuple[float, float, float]:
    """`center`, and `scale` in units of 200 pixels; NaN where a record has no such window."""
    center, scale = record.get("center"), record.get("scale")
    if center is None or scale is None:
        return NO_BOX[:3]
    x, y = center
    return x, y, 200.0 * (max(scale) if isinstance(scale, list) else scale)


def _pack_detections(records: list[dict]) -> tuple[np.ndarray, ...]:
    return (
        _pack_keys([r["image_id"] for r in records]),
        _pack_keys([r["category_id"] for r in records]),
        np.array([r["bbox"] for r in records], dtype=np.float64).reshape(-1, 4),
        np.array([r["score"] for r in records], dtype=np.float64),
    )
