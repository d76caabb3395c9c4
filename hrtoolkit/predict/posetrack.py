"""Predictions as PoseTrack18's files."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

from hrtoolkit.errors import UserError
from hrtoolkit.predict.individuals import find_individuals
from hrtoolkit.predict.journal import to_objects
from hrtoolkit.runtime.sources import VIDEO
from hrtoolkit.schemes import KeypointScheme, Scheme
from hrtoolkit.tracking.keypoints import People
from hrtoolkit.tracking.posetrack_files import write_predictions


def write_posetrack(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A folder with a file a video, called as the video: every frame in its order, also those without people.

    Who has no id gets one of their own in each frame, behind all others. One video at a time is in memory.

    Raises:
        UserError: there are no keypoints, there are pictures, or two videos have one name.
    """
    title = "PoseTrack18's format"
    if not isinstance(scheme, KeypointScheme):
        raise UserError(f"{title} has people; save other predictions in another one")
    films = find_individuals(predictions, title)
    names: dict[str, str] = {}
    for source in films:
        name = VIDEO.sub("", Path(source).name)
        if (other := names.setdefault(name, source)) != source:
            raise UserError(f"{title} has one file {name}.json for {other} and {source}; rename one of them")
    for source, frames in groupby(predictions, key=lambda one: one["source"]):
        name = VIDEO.sub("", Path(source).name)
        nameless = max(films[source].ids, default=0)
        files: list[str] = []
        people: list[People] = []
        for one in frames:
            found = to_objects(one, scheme)
            ids, points, scores = found.ids, found.points, found.point_scores
            assert ids is not None and points is not None and scores is not None
            unknown = ids < 1
            ids[unknown] = nameless + 1 + np.arange(unknown.sum())
            nameless += int(unknown.sum())
            files.append(f"images/{name}/{_file_name(one)}")
            present = points.any(axis=-1) | (scores > 0)  # 0, 0, 0 is nowhere
            people.append(People(ids, points, present, scores))
        write_predictions(path / f"{name}.json", files, people, scheme.names)


def _file_name(one: dict) -> str:
    """What the picture of a frame is called, where frames are pictures of a folder; of a film by its number."""
    path = Path(one.get("path", ""))
    return path.name if path.parent.name == Path(one["source"]).name else f"{one['frame']:06d}.jpg"
