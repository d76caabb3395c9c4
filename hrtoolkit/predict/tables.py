"""Predictions as files that other programs read; each format is a function from the journal's dicts to a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from hrtoolkit.errors import UserError, suggest
from hrtoolkit.files import write_atomically
from hrtoolkit.predict.labelling import visibility, with_objects, write_label_studio, write_yolo
from hrtoolkit.schemes import ClassScheme, KeypointScheme, Scheme

ROWS_AT_ONCE = 10_000  # of a parquet file
COLUMNS: dict[str, type] = {
    "source": str,
    "frame": int,
    "time": float,
    "object": int,
    "id": int,
    "label": str,
    "score": float,
    "x1": float,
    "y1": float,
    "x2": float,
    "y2": float,
    "keypoint": str,
    "x": float,
    "y": float,
    "keypoint_score": float,
    "pixels": int,
}

Write = Callable[[Path, Iterable[dict], Scheme], None]


def rows(predictions: Iterable[dict]) -> Iterator[dict]:
    """Tidy rows: one a keypoint, an object without keypoints, a class of a picture, or a class of a label map.

    Args:
        predictions: of `Prediction.to_dict`.

    Raises:
        UserError: they are maps of numbers.
    """
    for one in predictions:
        if "values" in one:
            raise UserError("tables have no maps of numbers; save values instead, a .npy a picture")
        place = {name: one.get(name) for name in ("source", "frame", "time")}
        for label, pixels in one.get("pixels", {}).items():
            yield place | {"label": label, "pixels": pixels}
        for label, score in one.get("classes", {}).items():
            yield place | {"label": label, "score": score}
        for number, thing in enumerate(one.get("objects", ())):
            row = place | {
                "object": number,
                "id": thing.get("id"),
                "label": thing.get("label"),
                "score": thing["score"],
            }
            row |= dict(zip(("x1", "y1", "x2", "y2"), thing["box_xyxy"], strict=True))
            if "keypoints" not in thing:
                yield row
            for name, (x, y, score) in thing.get("keypoints", {}).items():
                yield row | {"keypoint": name, "x": x, "y": y, "keypoint_score": score}


def write_json(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """One list of everything."""
    with write_atomically(path) as file:
        lead = "["
        for one in predictions:
            file.write(f"{lead}\n{json.dumps(one)}")
            lead = ","
        file.write("\n]\n" if lead == "," else "[]\n")


def write_csv(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A table of `rows`."""
    with write_atomically(path) as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows(predictions):
            writer.writerow({**row, "source": row["source"].encode("utf-8", "replace").decode()})


def write_parquet(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A table of `rows`."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError("parquet needs pyarrow: pip install 'hrtoolkit[tables]'") from None
    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    with write_atomically(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        all_rows = rows(predictions)
        while some := list(islice(all_rows, ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(some, schema))


def write_coco(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """COCO's format: `images`, `categories`, and `annotations` with scores, which are what `loadRes` takes."""
    images: list[dict] = []
    annotations: list[dict] = []
    classes = (scheme.classes or ClassScheme(("person",), ids=(1,))) if isinstance(scheme, KeypointScheme) else scheme
    ids = dict(zip(classes.names, classes.ids, strict=True))
    for number, one in enumerate(with_objects(predictions, "COCO's format"), start=1):
        name = one["source"] if "frame" not in one else f"{one['source']}#{one['frame']}"
        images.append({"id": number, "file_name": name, "width": one["width"], "height": one["height"]})
        for thing in one["objects"]:
            annotations.append(_coco_annotation(len(annotations) + 1, number, thing, ids))
    categories: list[dict[str, Any]] = [{"id": value, "name": name} for name, value in ids.items()]
    if isinstance(scheme, KeypointScheme):
        skeleton = [[a + 1, b + 1] for a, b in scheme.skeleton_indices()]  # COCO counts them from 1
        categories = [one | {"keypoints": list(scheme.names), "skeleton": skeleton} for one in categories]
    with write_atomically(path) as file:
        file.write(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def _coco_annotation(number: int, image_id: int, thing: dict, ids: dict[str, int]) -> dict:
    x1, y1, x2, y2 = thing["box_xyxy"]
    annotation = {
        "id": number,
        "image_id": image_id,
        "category_id": ids[thing["label"]] if "label" in thing else next(iter(ids.values())),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "score": thing["score"],
    }
    if "keypoints" in thing:
        points = thing["keypoints"].values()
        annotation["keypoints"] = [value for x, y, score in points for value in (x, y, visibility(score))]
        annotation["keypoint_scores"] = [score for _, _, score in points]
        annotation["num_keypoints"] = len(points)
    if "mask" in thing:
        annotation["segmentation"] = thing["mask"]
    return annotation


def write_openpose(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A folder with a file a picture in OpenPose's format, keypoints in the order of the scheme.

    What reads it (such as Pose2Sim) is told that order, which for the 17 points of COCO it knows as HRNet's.
    """
    if not isinstance(scheme, KeypointScheme):
        raise UserError("OpenPose's format has people; save other predictions in another one")
    for one in predictions:
        people = [
            {
                "person_id": [-1],
                "pose_keypoints_2d": [value for point in person["keypoints"].values() for value in point],
                "face_keypoints_2d": [],
                "hand_left_keypoints_2d": [],
                "hand_right_keypoints_2d": [],
            }
            for person in one["objects"]
        ]
        name = one["output"] if "frame" not in one else f"{one['output']}_{one['frame']:012d}"
        with write_atomically(path / f"{name}_keypoints.json") as file:
            file.write(json.dumps({"version": 1.3, "people": people}))


FORMATS: dict[str, Write] = {
    "json": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
    "coco": write_coco,
    "openpose": write_openpose,
    "yolo": write_yolo,
    "label-studio": write_label_studio,
}
SUFFIXES = {
    "json": ".json",
    "csv": ".csv",
    "parquet": ".parquet",
    "coco": ".coco.json",
    "openpose": "",
    "yolo": "",
    "label-studio": ".label-studio.json",
}


def find_format(name: str) -> tuple[str, Write]:
    """The file name and the function of a format, or of a file's suffix such as people.csv.

    Raises:
        UserError: it is neither.
    """
    if name in FORMATS:
        return f"{'predictions' if SUFFIXES[name] else name}{SUFFIXES[name]}", FORMATS[name]
    for known in sorted(SUFFIXES, key=lambda known: -len(SUFFIXES[known])):
        if SUFFIXES[known] and name.endswith(SUFFIXES[known]):
            return name, FORMATS[known]
    near = suggest(name, list(FORMATS)) or f"; there are {', '.join(FORMATS)}"
    raise UserError(f"--save: {name!r} is no format{near}")
