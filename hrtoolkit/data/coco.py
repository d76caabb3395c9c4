"""Files in COCO's format as flat arrays: a million people, no million Python objects (https://cocodataset.org).

Files are read record by record and packed a few thousand at a time. Records that cannot be packed are findings; what
the others say is checked in `hrtoolkit.keypoints.checks`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hrtoolkit.data.reading import stream_json
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.findings import Findings
from hrtoolkit.masks import PackedSegmentations, inspect_segmentation
from hrtoolkit.schemes import ClassScheme, KeypointScheme, SchemeLike, resolve_scheme

PACKED = 4096  # records that are Python objects at a time
NO_BOX = (np.nan,) * 4
IMAGE_FIELDS = {"id", "file_name", "width", "height"}
# What is left of an annotation of an object that cannot be read, and the fields that it needs.
BLANK = {"id": -1, "image_id": "", "category_id": -1, "bbox": ()}


class Images(NamedTuple):
    """M images of a file, in its order."""

    ids: np.ndarray  # [M] integers or texts
    names: np.ndarray  # [M] byte strings
    sizes: np.ndarray  # [M, 2] width and height


class Annotations(NamedTuple):
    """A annotations of a file, in its order and of every category; what is absent is NaN, or -1 for a count."""

    ids: np.ndarray  # [A] integers or texts, like the next two
    image_ids: np.ndarray
    category_ids: np.ndarray
    crowd: np.ndarray  # [A] bool
    ignored: np.ndarray  # [A] bool, by the field `ignore`
    areas: np.ndarray  # [A]
    boxes: np.ndarray  # [A, 4] left, top, width, height
    num_keypoints: np.ndarray  # [A]
    lengths: np.ndarray  # [A] how many of `keypoints` belong to each annotation
    keypoints: np.ndarray  # [sum of lengths] x, y, visibility, ... of all annotations one after another
    windows: np.ndarray  # [A, 3] float32, centre (x, y) and side in pixels, as OpenMMLab's face files have them


class Instances(NamedTuple):
    """A annotations of objects of every category, in the file's order.

    Ids are byte strings of json, as those of their images are: a text is not the number that it spells.
    """

    ids: np.ndarray  # [A], -1 where there is none
    image_ids: np.ndarray  # [A]
    category_ids: np.ndarray  # [A] int64
    boxes: np.ndarray  # [A, 4] left, top, width, height; NaN where they are not four numbers
    areas: np.ndarray  # [A], NaN where absent
    crowd: np.ndarray  # [A] bool
    ignored: np.ndarray  # [A] bool, by the field `ignore`
    malformed: np.ndarray  # [A] uint8, place in MALFORMED of what keeps it from being read
    states: np.ndarray  # [A] of the segmentations, see `inspect_segmentation`; empty where none are wanted
    extents: np.ndarray  # [A, 4] likewise
    sizes_hw: np.ndarray  # [A, 2] likewise
    pixels: np.ndarray  # [A] likewise
    segmentations: PackedSegmentations | None  # A


class Detections(NamedTuple):
    """D boxes of a file in COCO's results format."""

    image_ids: np.ndarray  # [D]
    category_ids: np.ndarray  # [D]
    boxes: np.ndarray  # [D, 4] left, top, width, height
    scores: np.ndarray  # [D]


def read_annotations(
    path: Path, findings: Findings, needs_annotations: bool = True
) -> tuple[Images, Annotations, list[dict]]:
    """Read a keypoint file; the last are its categories as they stand there.

    Args:
        path: of the json file.
        findings: gets the records that cannot be used.
        needs_annotations: refuse a file without annotations.

    Raises:
        DataError: the file cannot be read, or is not in COCO's format.
    """
    images = _Table("images", IMAGE_FIELDS, _pack_images, path, findings)
    annotations = _Table("annotations", {"id", "image_id", "category_id"}, _pack_annotations, path, findings)
    categories = _fill_tables(path, images, annotations)
    if needs_annotations and not annotations.count:
        raise DataError(f"{path}: 'annotations' is missing or empty; expected COCO's keypoint format")
    return Images(*images.columns()), Annotations(*annotations.columns()), categories


def read_instances(path: Path, findings: Findings, masks: bool) -> tuple[Images, Instances, list[dict]]:
    """Read a file of objects, perhaps without annotations; the last are its categories as they stand there.

    Args:
        path: of the json file.
        findings: gets the records that cannot be used, but for annotations that are malformed.
        masks: also read segmentations.

    Returns:
        images whose ids are byte strings of json, annotations, and categories.

    Raises:
        DataError: the file cannot be read, or is not in COCO's format.
    """
    images = _Table("images", IMAGE_FIELDS, partial(_pack_images, pack_ids=_pack_keys), path, findings)
    pack = partial(_pack_instances, masks=masks)
    annotations = _Table("annotations", set(), pack, path, findings)
    categories = _fill_tables(path, images, annotations)
    *columns, lengths, text = annotations.columns()
    segmentations = PackedSegmentations(text, lengths) if masks else None
    return Images(*images.columns()), Instances(*columns, segmentations), categories


def _fill_tables(path: Path, images: _Table, annotations: _Table) -> list[dict]:
    categories: list[dict] = []
    takers = {"images": images.append, "annotations": annotations.append, "categories": categories.append}
    for section, record in stream_json(path):
        if section == "":
            raise DataError(f"{path}: expected COCO's format, an object with images, annotations and categories")
        if section in takers:
            takers[section](record)
    for section, count in {"images": images.count, "categories": len(categories)}.items():
        if not count:
            raise DataError(f"{path}: {section!r} is missing or empty; expected COCO's format")
    lacking = [
        f"categories[{position}] is {category!r}"
        for position, category in enumerate(categories)
        if not isinstance(category, dict) or not {"id", "name"} <= category.keys()
    ]
    if lacking:
        raise DataError(f"{path}: a category needs `id` and `name`, but {shorten(lacking)}")
    return categories


def read_detections(path: Path, findings: Findings) -> Detections:
    """Read boxes in COCO's results format.

    Args:
        path: of the json file.
        findings: gets the detections that cannot be used.

    Raises:
        DataError: the file cannot be read, or is no list.
    """
    table = _Table("detections", {"image_id", "category_id", "bbox", "score"}, _pack_detections, path, findings)
    for section, record in stream_json(path):
        if section != "" or not isinstance(record, dict):
            raise DataError(f"{path}: expected COCO's results format, a list of detections")
        table.append(record)
    return Detections(*table.columns())


def find_category(categories: list[dict], name: str | None, path: Path) -> dict:
    """The category of this name; for None the only one with keypoints, or the only one.

    Raises:
        DataError: there is none, or more than one.
    """
    chosen = [c for c in categories if (c["name"] == name if name is not None else c.get("keypoints"))]
    if name is None and not chosen and len(categories) == 1:
        chosen = categories
    if len(chosen) != 1:
        names = [c["name"] for c in categories]
        wanted = f"named {name!r}" if name is not None else "with keypoints"
        raise DataError(f"{path}: {len(chosen)} categories {wanted} among {names}; set the dataset's `category`")
    return chosen[0]


def scheme_of_category(category: dict, scheme: SchemeLike | None, path: Path) -> KeypointScheme:
    """Join what the file's category says of its keypoints with what the config or the model adds.

    The scheme of a model never renames keypoints of the file: what it knows of them is taken by name. One that a config
    states may, where it has as many.

    Args:
        category: of the file.
        scheme: of a model; or of a config: a known name, names, or fields that complete or replace those of the
            category.
        path: of the file, for messages.

    Raises:
        DataError: there are no names, or they make no scheme.
    """
    names = category.get("keypoints")
    try:
        if names and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"the keypoints of category {category['name']!r} should be a list of names, got {names!r}")
        completes = scheme is None or (isinstance(scheme, Mapping) and "names" not in scheme)
        stated = None if completes else resolve_scheme(scheme, KeypointScheme)
        if names and stated is not None and set(names) <= set(stated.names):
            found = _take_names(stated, tuple(names))
        elif names and (completes or isinstance(scheme, KeypointScheme)):
            found = _scheme_of_file(category, scheme if completes else None)
        elif stated is None:
            raise ValueError(
                f"category {category['name']!r} lists no keypoint names; give them in the dataset's `scheme`, for "
                "example scheme=dict(names=[...])"
            )
        elif names and len(names) != len(stated.names):
            raise ValueError(f"{len(names)} keypoints {names}, but the config's scheme has {len(stated.names)}")
        else:
            found = stated
        return replace(found, classes=ClassScheme((category["name"],), ids=(category["id"],)))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None


def _scheme_of_file(category: dict, fields: Mapping | None) -> KeypointScheme:
    names, skeleton = category["keypoints"], category.get("skeleton") or ()
    if stray := [line for line in skeleton if not all(1 <= end <= len(names) for end in line)]:
        raise ValueError(
            f"the skeleton of category {category['name']!r} joins {stray[0]}, but keypoints are counted from 1 to "
            f"{len(names)}"
        )
    lines = [(names[a - 1], names[b - 1]) for a, b in skeleton]
    return resolve_scheme({"names": names, "skeleton": lines, **(fields or {})}, KeypointScheme)


def _take_names(scheme: KeypointScheme, names: Sequence[str]) -> KeypointScheme:
    """A scheme of some of the names of another, in their own order."""
    if tuple(names) == scheme.names:
        return scheme
    places = [scheme.names.index(name) for name in names]
    pairs = {f: [pair for pair in getattr(scheme, f) if set(pair) <= set(names)] for f in ("mirrored", "skeleton")}
    reference = scheme.nme_reference
    return KeypointScheme(
        names,
        **pairs,
        palette=[scheme.palette[place] for place in places],
        sigmas=[scheme.sigmas[place] for place in places] if scheme.sigmas else (),
        upper_body=[name for name in scheme.upper_body if name in names],
        nme_reference=reference if reference == "box" or set(reference) <= set(names) else (),
    )


class _Table:
    """Records on their way into arrays."""

    def __init__(self, name: str, required: set[str], pack: Callable, path: Path, findings: Findings):
        self.name, self.required, self.pack, self.path, self.findings = name, required, pack, path, findings
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
        for fault, ids in self.faulty.items():
            self.findings.add("stop", f"{self.name} {fault}", ids, "correct or remove them")
        return [column.finish() for column in self.packed]

    def _pack_pending(self) -> None:
        records, self.pending = self.pending, []
        try:
            packed = self.pack(records)
        except (AttributeError, KeyError, TypeError, ValueError):  # one of them at least: look at each
            first = self.count - len(records)
            sound = [r for position, r in enumerate(records, start=first) if not self._is_faulty(r, position)]
            try:
                packed = self.pack(sound)
            except TypeError as error:  # sound one by one, but not of one kind
                raise DataError(f"{self.path}: {self.name}: {error}") from None
        for column, part in zip(self.packed, packed, strict=True):
            if len(column.rows) and column.rows.dtype.kind != part.dtype.kind and len(part):
                raise DataError(f"{self.path}: ids in {self.name} are numbers in one place and texts in another")
            column.extend(part)

    def _is_faulty(self, record, position: int) -> bool:
        where = f"{self.name}[{position}]"
        if not isinstance(record, dict):
            fault = "that are no json objects"
        elif missing := self.required - record.keys():
            fault = f"that lack {sorted(missing)}"
        else:
            try:
                self.pack([record])
            except (AttributeError, TypeError, ValueError):
                fault = "with something else than numbers where numbers belong"
            else:
                return False
        if isinstance(record, dict) and "id" in record:
            where += f" with id {record['id']!r}"
        self.faulty.setdefault(fault, []).append(where)
        return True


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


def _pack_images(records: list[dict], pack_ids: Callable | None = None) -> tuple[np.ndarray, ...]:
    return (
        (pack_ids or _pack_ids)([r["id"] for r in records]),
        np.array([r["file_name"].encode() for r in records], dtype=np.bytes_),
        np.array([(r["width"], r["height"]) for r in records], dtype=np.float64).reshape(-1, 2),
    )


def _pack_annotations(records: list[dict]) -> tuple[np.ndarray, ...]:
    keypoints = [r.get("keypoints") or () for r in records]
    boxes = [r.get("bbox") or NO_BOX for r in records]
    lengths = np.array([len(values) for values in keypoints], dtype=np.int32)
    return (
        _pack_ids([r["id"] for r in records]),
        _pack_ids([r["image_id"] for r in records]),
        _pack_ids([r["category_id"] for r in records]),
        np.array([r.get("iscrowd") or 0 for r in records], dtype=bool),
        np.array([r.get("ignore") or 0 for r in records], dtype=bool),
        np.array([r.get("area") for r in records], dtype=np.float64),  # None becomes NaN
        np.array([box if len(box) == 4 else NO_BOX for box in boxes], dtype=np.float64).reshape(-1, 4),
        np.array([r.get("num_keypoints", -1) for r in records], dtype=np.int32),
        lengths,
        np.fromiter(chain.from_iterable(keypoints), np.float32, count=int(lengths.sum())),
        np.array([_window(r) for r in records], dtype=np.float32).reshape(-1, 3),
    )


def _pack_instances(records: list, masks: bool) -> tuple[np.ndarray, ...]:
    malformed = np.array([_find_malformed(r) for r in records], dtype=np.uint8)
    ids = [r["id"] if isinstance(r, dict) and _is_key(r.get("id")) else BLANK["id"] for r in records]
    sound = [BLANK if bad else r for r, bad in zip(records, malformed.tolist(), strict=True)]
    segmentations = [r.get("segmentation") for r in sound] if masks else []
    texts = [json.dumps(one, separators=(",", ":")).encode() for one in segmentations]
    columns = zip(*map(inspect_segmentation, segmentations), strict=True)
    states, extents, sizes_hw, pixels = columns if segmentations else ((),) * 4
    return (
        _pack_keys(ids),
        _pack_keys([r["image_id"] for r in sound]),
        np.array([r["category_id"] for r in sound], dtype=np.int64),
        np.array([r["bbox"] if len(r["bbox"]) == 4 else NO_BOX for r in sound], dtype=np.float64).reshape(-1, 4),
        np.array([r.get("area") for r in sound], dtype=np.float64),  # None becomes NaN
        np.array([r.get("iscrowd") or 0 for r in sound], dtype=bool),
        np.array([r.get("ignore") or 0 for r in sound], dtype=bool),
        malformed,
        np.array(states, dtype=np.uint8),
        np.array(extents, dtype=np.float64).reshape(-1, 4),
        np.array(sizes_hw, dtype=np.float64).reshape(-1, 2),
        np.array(pixels, dtype=np.float64),
        np.array([len(text) for text in texts], dtype=np.int32),
        np.frombuffer(b"".join(texts), dtype=np.uint8),
    )


def _is_number(value) -> bool:
    return type(value) in (int, float) and abs(value) < 2**63  # what arrays hold; not NaN


def _is_id(value) -> bool:
    return _is_number(value) and value == int(value)  # programs write 3.0 too


def _is_key(value) -> bool:
    return isinstance(value, str) or _is_id(value)


def _is_flag(value) -> bool:
    return value is None or (isinstance(value, int) and value in (0, 1))


# Fields of an annotation of an object, and what is read of them; what the numbers say is another matter.
INSTANCE_FIELDS = {
    "id": _is_key,
    "image_id": _is_key,
    "category_id": _is_id,
    "bbox": lambda box: isinstance(box, list) and all(type(value) is float or _is_number(value) for value in box),
    "area": lambda area: area is None or _is_number(area),
    "iscrowd": _is_flag,
    "ignore": _is_flag,
}
KINDS = {
    str: "a text",
    type(None): "null",
    bool: "true or false",
    list: "a list of something else than numbers",
    dict: "a json object",
    int: "a number that does not belong there",
    float: "a number that does not belong there",
}
MALFORMED = (
    "are sound",
    "are no json objects",
    *(f"lack `{field}`" for field in INSTANCE_FIELDS),
    *(f"have {kind} as `{field}`" for field in INSTANCE_FIELDS for kind in dict.fromkeys(KINDS.values())),
)
_MALFORMED_PLACES = {text: place for place, text in enumerate(MALFORMED)}


def _find_malformed(record) -> int:
    """Place in MALFORMED of what nothing can be made of."""
    if not isinstance(record, dict):
        return 1
    for field, is_sound in INSTANCE_FIELDS.items():
        if field not in record:
            if field in BLANK:
                return _MALFORMED_PLACES[f"lack `{field}`"]
        elif not is_sound(record[field]):
            return _MALFORMED_PLACES[f"have {KINDS[type(record[field])]} as `{field}`"]
    return 0


def _pack_keys(ids: list) -> np.ndarray:
    """Ids as byte strings of json, which `unpack_keys` turns back."""
    if not all(map(_is_key, ids)):
        raise TypeError("ids should be whole numbers or texts")
    return np.array([(json.dumps(v) if isinstance(v, str) else str(int(v))).encode() for v in ids], dtype=np.bytes_)


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
    if "center" not in record or "scale" not in record:
        return NO_BOX[:3]
    x, y = record["center"]
    scale = record["scale"]
    return x, y, 200.0 * (max(scale) if isinstance(scale, list) else scale)


def _pack_detections(records: list[dict]) -> tuple[np.ndarray, ...]:
    return (
        _pack_ids([r["image_id"] for r in records]),
        _pack_ids([r["category_id"] for r in records]),
        np.array([r["bbox"] for r in records], dtype=np.float64).reshape(-1, 4),
        np.array([r["score"] for r in records], dtype=np.float64),
    )


def _pack_ids(values: list) -> np.ndarray:
    """Integers or texts; numbers with a fraction of zero count as integers."""
    ids = np.array(values) if values else np.empty(0, np.int64)
    if ids.dtype.kind == "f" and (ids == np.floor(ids)).all():
        ids = ids.astype(np.int64)
    texts = sum(isinstance(value, str) for value in values)
    if ids.ndim != 1 or ids.dtype.kind not in "iU" or texts not in (0, len(values)):
        raise TypeError(f"ids should be all numbers or all texts, they begin with {values[:3]}")
    return ids
