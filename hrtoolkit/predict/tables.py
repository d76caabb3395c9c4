"""Predictions as files that other programs read; each format is a function from the journal's dicts to a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from hrtoolkit.errors import UserError, suggest
from hrtoolkit.files import write_atomically
from hrtoolkit.predict.coco import write_coco, write_coco_vid
from hrtoolkit.predict.individuals import write_deeplabcut, write_openpose
from hrtoolkit.predict.labelling import write_label_studio, write_yolo
from hrtoolkit.predict.posetrack import write_posetrack
from hrtoolkit.predict.tracks import write_tracks
from hrtoolkit.schemes import Scheme

NAME = "predictions"  # of files
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
    "raw_x": float,
    "raw_y": float,
    "filled": bool,
    "pixels": int,
}

Write = Callable[[Path, Iterable[dict], Scheme], None]  # the dicts may be gone through several times


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
            if "id" in thing:
                row["filled"] = thing.get("filled", False)
            row |= dict(zip(("x1", "y1", "x2", "y2"), thing["box_xyxy"], strict=True))
            if "keypoints" not in thing:
                yield row
            raw = thing.get("raw_keypoints", {})
            for name, (x, y, score) in thing.get("keypoints", {}).items():
                point = {"keypoint": name, "x": x, "y": y, "keypoint_score": score}
                if name in raw:
                    point["raw_x"], point["raw_y"] = raw[name]
                yield row | point


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
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows(predictions):
            row["source"] = row["source"].encode("utf-8", "replace").decode()
            writer.writerow([row.get(name) for name in COLUMNS])


def write_parquet(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A table of `rows`."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError("parquet needs pyarrow: pip install 'hrtoolkit[tables]'") from None
    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    with write_atomically(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        all_rows = rows(predictions)
        while some := list(islice(all_rows, ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(some, schema))


class Format(NamedTuple):
    """A way to write predictions.

    Args:
        file: or folder, in the folder of predictions.
        write: makes it.
    """

    file: str
    write: Write

    @property
    def suffix(self) -> str:
        """Of files of this format that are called otherwise; empty where they cannot be."""
        return self.file.removeprefix(NAME) if self.file.startswith(NAME) else ""


FORMATS = {
    "json": Format(f"{NAME}.json", write_json),
    "csv": Format(f"{NAME}.csv", write_csv),
    "parquet": Format(f"{NAME}.parquet", write_parquet),
    "coco": Format(f"{NAME}.coco.json", write_coco),
    "coco-vid": Format(f"{NAME}.coco-vid.json", write_coco_vid),
    "openpose": Format("openpose", write_openpose),
    "deeplabcut": Format("deeplabcut", write_deeplabcut),
    "posetrack": Format("posetrack", write_posetrack),
    "tracks": Format("tracks.json", write_tracks),
    "yolo": Format("yolo", write_yolo),
    "label-studio": Format(f"{NAME}.label-studio.json", write_label_studio),
}


def find_format(name: str) -> tuple[str, Write]:
    """The file name and the function of a format, of its usual file, or of a file's suffix such as people.csv.

    Raises:
        UserError: it is none of these.
    """
    for known, one in FORMATS.items():
        if name in (known, one.file):
            return one.file, one.write
    for one in sorted(FORMATS.values(), key=lambda one: -len(one.suffix)):
        if one.suffix and name.endswith(one.suffix):
            return name, one.write
    near = suggest(name, list(FORMATS)) or f"; there are {', '.join(FORMATS)}"
    raise UserError(f"--save: {name!r} is no format{near}")
