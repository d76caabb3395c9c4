"""PoseTrack18's files, for truth and predictions alike: one a video, every frame in order.

The original codes pair frames of truth and predictions by their place in the file alone. Here names or ids have to
agree too, so that a frame too few is an error and not a shift.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.data.fields import BOX, FLAG, ID, NUMBERS, QUANTITY, TEXT, Field, find_faults
from hrtoolkit.data.foreign import stream_coco
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.files import write_atomically
from hrtoolkit.tracking.keypoints import NO_SCORE, People, VideoFrame, head_sizes

log = logging.getLogger(__name__)
SIDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
EARS = ("left_ear", "right_ear")  # have a place in the files, and are never labelled
NAMES = (
    *("nose", "head_bottom", "head_top", *EARS),
    *(f"{side}_{part}" for part in SIDED for side in ("left", "right")),
)
MOST_IDS = 10_000  # the original stops at a track id from here on
SOURCES = {"mpii": 1, "bonn": 2, "mpiinew": 3}  # the first digit of an image's id
VIDEO = re.compile(r"(\d{6})_(mpii|bonn|mpiinew)_(train|test)")
LISTS = Field("a list", frozenset((list,)))
WHOLE = ID._replace(expected="a whole number", types=ID.types - {str})
IMAGE = {
    "id": ID,
    "file_name": TEXT,
    "is_labeled": FLAG.or_nothing(),
    "ignore_regions_x": LISTS.or_nothing(),
    "ignore_regions_y": LISTS.or_nothing(),
}
PERSON = {"image_id": ID, "track_id": WHOLE, "keypoints": NUMBERS, "scores": NUMBERS.or_nothing()}
TRUE_PERSON = PERSON | {"id": ID.or_nothing(), "bbox_head": BOX}
FOUND_PERSON = PERSON | {"score": QUANTITY.or_nothing(), "bbox": NUMBERS.or_nothing()}


class Video(NamedTuple):
    """The T frames of a video with their truth."""

    name: str
    frames: list[VideoFrame]
    image_ids: list[int | str]  # of the frames
    files: list[str]  # of the frames, as the annotations have them
    annotation_ids: list[list[int | str | None]]  # of the people of each frame


class _Content(NamedTuple):
    """A file: its images, and the people of each by its id."""

    images: list[dict[str, Any]]
    people: dict[int | str, list[dict[str, Any]]]
    places: dict[str, ndarray]  # of keypoints in the file, by name


def read_truth(path: str | Path, names: Sequence[str] = NAMES) -> list[Video]:
    """Read the annotations of a video, or of several in one file, as the original code understands them.

    A keypoint is labelled unless x, y and visibility are all 0. A region to ignore that is one flat list is one
    polygon; frames that do not say whether they are labelled are where they have people.

    Args:
        path: of the json file.
        names: keypoints in the order that is wanted; those that the file does not have are not labelled.

    Raises:
        DataError: it cannot be read, a record lacks a field, or two people of a frame have one id.
    """
    content = _read(path, TRUE_PERSON)
    videos: dict[str, Video] = {}
    for place, image in enumerate(content.images):
        file, rows = PurePosixPath(image["file_name"].replace("\\", "/")), content.people.get(image["id"], [])
        name = file.parent.name or Path(path).stem
        video = videos.setdefault(name, Video(name, [], [], [], []))
        people = _arrange(path, image, rows, content.places, names)
        heads = np.array([row["bbox_head"] for row in rows], np.float64).reshape(-1, 4)
        digits = re.search(r"\d+$", file.stem)
        labelled = image.get("is_labeled")
        video.frames.append(
            VideoFrame(
                video=name,
                number=place if digits is None else int(digits[0]),
                labelled=bool(rows) if labelled is None else bool(labelled),
                people=people._replace(scores=None, head_sizes=head_sizes(heads)),
                regions=_regions(path, image),
            )
        )
        video.image_ids.append(image["id"])
        video.files.append(image["file_name"])
        video.annotation_ids.append([row.get("id") for row in rows])
    return list(videos.values())


def read_predictions(path: str | Path, video: Video, names: Sequence[str] = NAMES) -> list[People]:
    """Read who was found in the frames of a video.

    A keypoint is there unless x, y and visibility are all 0. The order of somebody's keypoints is that of the file's
    category. Where nobody gave scores there are none. Ids may be any whole numbers; from 10,000 on, where the original
    stops, the log says so.

    Args:
        path: of the json file.
        video: its truth.
        names: keypoints in the order that is wanted.

    Returns:
        people of each frame.

    Raises:
        DataError: it cannot be read, its frames are others or in another order than the truth's, or two people of a
            frame have one id.
    """
    content = _read(path, FOUND_PERSON)
    _pair(path, content.images, video)
    found = [
        _arrange(path, image, content.people.get(image["id"], []), content.places, names) for image in content.images
    ]
    if many := sorted({one for people in found for one in people.ids.tolist() if not 0 <= one < MOST_IDS}):
        log.warning(
            "%s: ids outside 0 to %s, at which PoseTrack's own code stops: %s", path, f"{MOST_IDS - 1:,}", shorten(many)
        )
    return found


def find_predictions(folder: str | Path, videos: Iterable[Video]) -> dict[str, Path]:
    """The prediction file of every video by its name, `NAME.json` in a folder.

    Raises:
        DataError: one is missing; the original code stops there too.
    """
    files = {video.name: Path(folder) / f"{video.name}.json" for video in videos}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(files)} videos have no file of predictions: {shorten(missing)}; write "
            "one a video, also where nobody was found"
        )
    return files


def write_predictions(
    path: str | Path,
    files: Sequence[str],
    people: Sequence[People],
    names: Sequence[str],
    image_ids: Sequence[int | str] | None = None,
) -> None:
    """Write who was found in the frames of a video, as PoseTrack18's code reads it.

    Keypoints go by their names; those that PoseTrack18 does not have are left out, its ears too, and those that are not
    present are zeros. People without an id (below 0) cannot be written: an id there is what it is all about.

    Args:
        path: of the json file.
        files: of the T frames, such as "images/val/000342_mpii_test/000012.jpg", every one in order.
        people: of the frames, with scores.
        names: of their keypoints.
        image_ids: of the frames; by default those of PoseTrack18 where a file lies in a folder with such a name, and
            else the places of the frames.

    Raises:
        DataError: two people of a frame have one id, or the same frame comes twice.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    given: list[int | str] = [_image_id(file, place) for place, file in enumerate(files)]
    if image_ids is not None:
        given = list(image_ids)
    if len(set(given)) < len(given):
        twice = next(one for one in given if given.count(one) > 1)
        raise DataError(f"{path}: two frames have the id {twice}, so who is in which cannot be told; give `image_ids`")
    columns = [list(names).index(name) if name in names and name not in EARS else -1 for name in NAMES]
    beyond: set[int] = set()
    for file, image_id, some in zip(files, given, people, strict=True):
        folder = PurePosixPath(file.replace("\\", "/")).parent.name
        known = VIDEO.fullmatch(folder)
        images.append(
            {"file_name": file, "id": image_id, "frame_id": image_id, "vid_id": known[1] if known else folder}
        )
        some = some.select(some.ids >= 0)
        _check_ids(path, file, some.ids)
        beyond.update(some.ids[some.ids >= MOST_IDS].tolist())
        points = np.take(some.points, columns, axis=1).astype(np.float64)
        there = np.take(some.present, columns, axis=1) & np.isfinite(points).all(axis=-1) & (np.array(columns) >= 0)
        triplets = np.concatenate([np.where(there[..., None], points, 0.0), there[..., None]], axis=-1)
        scores: list[list[float]] = [[] for _ in there]
        if some.scores is not None:
            scores = np.where(there, np.take(some.scores, columns, axis=1), 0.0).astype(np.float64).tolist()
        annotations += [
            {
                "image_id": image_id,
                "id": image_id * 100 + place if isinstance(image_id, int) else len(annotations) + place,
                "track_id": number,
                "category_id": 1,
                "keypoints": keypoints,
                "scores": values,
            }
            for place, (number, keypoints, values) in enumerate(
                zip(some.ids.tolist(), triplets.reshape(len(there), 3 * len(NAMES)).tolist(), scores, strict=True)
            )
        ]
    if beyond:
        log.warning(
            "%s: PoseTrack's own code stops at ids from %s on: %s", path, f"{MOST_IDS:,}", shorten(sorted(beyond))
        )
    category = {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(NAMES), "skeleton": []}
    text = json.dumps({"images": images, "annotations": annotations, "categories": [category]})
    with write_atomically(path, size=len(text)) as out:
        out.write(text)


def _image_id(file: str, place: int) -> int:
    """PoseTrack18's number of a frame by its file's name, or its place where this is none of theirs."""
    name = PurePosixPath(file.replace("\\", "/"))
    known = VIDEO.fullmatch(name.parent.name)
    if known is None or not name.stem.isdecimal():
        return place
    return SOURCES[known[2]] * 10**10 + int(known[1]) * 10**4 + int(name.stem)


def _read(path: str | Path, fields: Mapping[str, Field]) -> _Content:
    images: list[dict[str, Any]] = []
    people: dict[int | str, list[dict[str, Any]]] = {}
    categories: list[dict[str, Any]] = []
    count = 0
    for section, record in stream_coco(path, "PoseTrack18's format"):
        if section == "images":
            _check(path, f"images[{len(images)}]", record, IMAGE)
            images.append(record)
        elif section == "annotations":
            _check(path, f"annotations[{count}]", record, fields)
            count += 1
            people.setdefault(record["image_id"], []).append({name: record.get(name) for name in fields})
        elif section == "categories":
            categories.append(record)
    if not images:
        raise DataError(f"{path}: 'images' is missing or empty; expected PoseTrack18's format, every frame in order")
    ids = {image["id"] for image in images}
    if len(ids) < len(images):
        listed = [image["id"] for image in images]
        twice = next(one for one in listed if listed.count(one) > 1)
        raise DataError(f"{path}: two images have the id {twice}; give each its own")
    if stray := [one for one in people if one not in ids]:
        raise DataError(f"{path}: annotations of images that it does not list: {shorten(stray)}; list every frame")
    return _Content(images, people, _find_places(path, categories, people))


def _check(path: str | Path, what: str, record: Any, fields: Mapping[str, Field]) -> None:
    for fault, value in find_faults(record, fields):
        raise DataError(f"{path}: {what} is one of those {fault}{f': {value}' if value else ''}; correct it")


def _find_places(path: str | Path, categories: list[dict], people: Mapping[Any, list[dict]]) -> dict[str, ndarray]:
    """Where the file has each keypoint, by name."""
    lengths = {len(row["keypoints"]) for rows in people.values() for row in rows}
    if len(lengths) > 1:
        raise DataError(f"{path}: `keypoints` of {shorten(sorted(lengths))} numbers in one file; give all as many")
    stated = next((one.get("keypoints") for one in categories if isinstance(one, dict) and one.get("keypoints")), None)
    names = list(NAMES) if stated is None else stated
    if not isinstance(names, list) or (lengths and lengths != {3 * len(names)}):
        raise DataError(
            f"{path}: `keypoints` of {lengths.pop() if lengths else 0} numbers, where its category names "
            f"{len(names) if isinstance(names, list) else names} keypoints, of three numbers each"
        )
    return {name: np.array(place) for place, name in enumerate(names)}


def _arrange(
    path: str | Path, image: Mapping[str, Any], rows: list[dict], places: Mapping[str, ndarray], names: Sequence[str]
) -> People:
    """The people of a frame, keypoints in the order that is wanted."""
    columns = np.array([int(places[name]) if name in places else -1 for name in names], np.int64)
    count, known = len(rows), columns >= 0
    triplets = np.zeros((count, len(names), 3))
    if rows:
        read = np.array([row["keypoints"] for row in rows], np.float64).reshape(count, -1, 3)
        triplets[:, known] = read[:, columns[known]]
    scores = None
    if not rows or any(row["scores"] for row in rows):
        scores = np.full((count, len(names)), NO_SCORE)
        for one, row in zip(scores, rows, strict=True):
            if row["scores"]:
                if len(row["scores"]) != len(places):
                    raise DataError(
                        f"{path}: {len(row['scores'])} scores of the {len(places)} keypoints of track "
                        f"{row['track_id']} in {image['file_name']}; give each keypoint its own, or none at all"
                    )
                one[known] = np.array(row["scores"], np.float64)[columns[known]]
    ids = np.array([int(row["track_id"]) for row in rows], np.int64)
    _check_ids(path, image["file_name"], ids)
    return People(ids, triplets[..., :2], np.any(triplets, axis=-1), scores)


def _check_ids(path: str | Path, frame: str, ids: ndarray) -> None:
    if len(set(ids.tolist())) < len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise DataError(f"{path}: two people of {frame} have the id {values[counts > 1][0]}; give each their own")


def _regions(path: str | Path, image: Mapping[str, Any]) -> list[ndarray]:
    """Polygons [V, 2] to ignore; those of fewer than three corners have no inside."""
    sides = [image.get(f"ignore_regions_{axis}") or [] for axis in "xy"]
    # A single polygon is one flat list in places.
    xs, ys = ([side] if side and not any(isinstance(one, list) for one in side) else side for side in sides)
    where = f"{path}: the regions to ignore of {image['file_name']}"
    if [len(x) if isinstance(x, list) else None for x in xs] != [len(y) if isinstance(y, list) else None for y in ys]:
        raise DataError(f"{where} have not as many x as y; correct `ignore_regions_x` and `ignore_regions_y`")
    try:
        return [np.array([x, y], np.float64).T.reshape(-1, 2) for x, y in zip(xs, ys, strict=True) if x]
    except (TypeError, ValueError):
        raise DataError(f"{where} are no lists of numbers; correct `ignore_regions_x` and `ignore_regions_y`") from None


def _pair(path: str | Path, images: list[dict], video: Video) -> None:
    """Refuse frames that are not those of the truth, in its order."""
    ours, theirs = [PurePosixPath(file).name for file in video.files], [_file_of(image) for image in images]
    remedy = "write every frame of the truth in its order, also those without people: they are paired by their places"
    if len(images) != len(video.files):
        lacking = [name for name in ours if name not in theirs]
        told = f", {shorten(lacking)} missing" if lacking else ""
        raise DataError(f"{path}: {len(images)} frames, the truth has {len(video.files)}{told}; {remedy}")
    for place, (image, name) in enumerate(zip(images, ours, strict=True)):
        if image["id"] != video.image_ids[place] and theirs[place] != name:
            raise DataError(f"{path}: frame {place} is {theirs[place]}, in the truth it is {name}; {remedy}")


def _file_of(image: Mapping[str, Any]) -> str:
    return PurePosixPath(image["file_name"].replace("\\", "/")).name
