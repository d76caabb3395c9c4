"""Predictions in formats that give everybody in a video a place of their own: OpenPose's and DeepLabCut's."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from hrtoolkit.errors import UserError
from hrtoolkit.files import write_atomically
from hrtoolkit.predict.labelling import with_objects
from hrtoolkit.schemes import KeypointScheme, Scheme

MOST_NUMBERS = 10**9  # of a video, most of which stand for people who are not there


@dataclass
class Film:
    """Who is in a video."""

    ids: set[int] = field(default_factory=set)
    nameless: int = 0  # people without an id in one frame, at most
    frames: int = 0

    def check_room(self, points: int, source: str, title: str) -> None:
        """Refuse a format in which everybody takes room in every frame, where that would fill a disk.

        Raises:
            UserError: it would.
        """
        numbers = self.frames * len(self.ids) * points * 3
        if numbers > MOST_NUMBERS:
            raise UserError(
                f"{source}: {title} has a place in each of {self.frames:,} frames for each of {len(self.ids):,} ids, "
                f"which makes {numbers:,} numbers; save csv or parquet, or track parts of the video"
            )


def find_individuals(predictions: Iterable[dict], title: str) -> dict[str, Film]:
    """Who is in each video, by its name.

    Args:
        predictions: of a `Journal`.
        title: of a format that has videos only.

    Raises:
        UserError: there are pictures among them, or something else than people and objects.
    """
    films: dict[str, Film] = {}
    for one in with_objects(predictions, title):
        if "frame" not in one:
            raise UserError(f"{one['source']}: a picture, where {title} has videos; save another format")
        _add(films.setdefault(one["source"], Film()), one)
    return films


def _add(film: Film, one: dict) -> None:
    ids = [thing["id"] for thing in one["objects"] if "id" in thing]
    film.ids.update(ids)
    film.nameless = max(film.nameless, len(one["objects"]) - len(ids))
    film.frames += 1


def write_openpose(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A folder with a file a picture in OpenPose's format, keypoints in the order of the scheme.

    Many readers take the order of people for who they are. So in a video with ids every file has everybody, in the
    order of ids: who is not there is zeros. Behind them come those without an id, whose `person_id` is -1.

    What reads it (such as Pose2Sim) is told the order of keypoints, which for the 17 of COCO it knows as HRNet's.

    Raises:
        UserError: the predictions are no people, or a video has too many.
    """
    if not isinstance(scheme, KeypointScheme):
        raise UserError("OpenPose's format has people; save other predictions in another one")
    films: dict[str, Film] = {}
    for one in with_objects(predictions, "OpenPose's format"):
        if "frame" in one:
            _add(films.setdefault(one["source"], Film()), one)
    orders = {}
    for source, film in films.items():
        film.check_room(len(scheme.names), source, "OpenPose's format")
        orders[source] = sorted(film.ids)
    nothing = [0.0] * (3 * len(scheme.names))
    for one in predictions:
        points = [[value for point in thing["keypoints"].values() for value in point] for thing in one["objects"]]
        ids = [thing.get("id", -1) for thing in one["objects"]]
        there = dict(zip(ids, points, strict=True))
        people = [_person(number, there.get(number, nothing)) for number in orders.get(one["source"], ())]
        people += [_person(-1, values) for number, values in zip(ids, points, strict=True) if number < 0]
        name = one["output"] if "frame" not in one else f"{one['output']}_{one['frame']:012d}"
        with write_atomically(path / f"{name}_keypoints.json") as file:
            file.write(json.dumps({"version": 1.3, "people": people}))


def _person(number: int, values: list[float]) -> dict[str, Any]:
    lists: dict[str, list[float]] = {
        f"{part}_keypoints_{space}": []
        for space in ("2d", "3d")
        for part in ("pose", "face", "hand_left", "hand_right")
    }
    return {"person_id": [number], **lists, "pose_keypoints_2d": values}


def write_deeplabcut(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A folder with a table a video as DeepLabCut writes those of several animals: a row a frame, four rows on top.

    The columns are x, y and likelihood of each keypoint of each individual: `individual3` has the id 3. Behind them
    come those without an id as `unknown1` and so on, who are others in each frame. Cells of who is not there are empty.

    Raises:
        UserError: there are no keypoints, there are pictures, or a video has too many individuals.
    """
    title = "DeepLabCut's format"
    if not isinstance(scheme, KeypointScheme):
        raise UserError(f"{title} has keypoints; save other predictions in another one")
    films = find_individuals(predictions, title)
    for source, film in films.items():
        film.check_room(len(scheme.names), source, title)
    for source, frames in groupby(predictions, key=lambda one: one["source"]):
        film = films[source]
        ids = sorted(film.ids)
        places = {number: place for place, number in enumerate(ids)}
        individuals = [f"individual{number}" for number in ids]
        individuals += [f"unknown{number + 1}" for number in range(film.nameless)]
        with ExitStack() as stack:
            writer: Any = None
            for one in frames:
                if writer is None:  # the first frame knows what the files of its video are called
                    file = stack.enter_context(write_atomically(path / f"{one['output']}.csv"))
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerows(_heads(individuals, scheme.names))
                writer.writerow([one["frame"], *_cells(one, places, len(individuals), 3 * len(scheme.names))])


def _heads(individuals: list[str], names: tuple[str, ...]) -> Iterator[list[str]]:
    columns = [(one, name, value) for one in individuals for name in names for value in ("x", "y", "likelihood")]
    yield ["scorer", *["hrtoolkit"] * len(columns)]
    for level, title in enumerate(("individuals", "bodyparts", "coords")):
        yield [title, *(column[level] for column in columns)]


def _cells(one: dict, places: dict[int, int], individuals: int, width: int) -> list[float | str]:
    """The cells of a frame, `width` for each individual."""
    cells: list[float | str] = [""] * (individuals * width)
    behind = len(places)
    for thing in one["objects"]:
        if "id" in thing:
            place = places[thing["id"]]
        else:
            place, behind = behind, behind + 1
        cells[place * width : (place + 1) * width] = [value for point in thing["keypoints"].values() for value in point]
    return cells
