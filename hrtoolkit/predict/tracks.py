"""Who is in a video from when to when, and where two of them may have been taken for each other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hrtoolkit.errors import UserError
from hrtoolkit.files import write_atomically
from hrtoolkit.predict.labelling import with_objects
from hrtoolkit.schemes import Scheme
from hrtoolkit.tracking.boxes import box_iou
from hrtoolkit.tracking.clock import USUAL_STEP

SPAN = 0.5  # seconds before and after a moment, that are compared
# What looks like an exchange: boxes of two that overlap so much (IoU), and that one of them then
OVERLAP = 0.3
SPEED_JUMP = 1.0  # moves on with a speed that differs by so many of its lengths a second (people walk with 0.8), or
SIZE_JUMP = 1.4  # is larger or smaller so many times
FORGET = 10.0  # seconds without somebody, after which only the summary is kept
FORGET_EVERY = 250  # frames


class _Sighting(NamedTuple):
    """Somebody in a frame."""

    frame: int
    time: float  # seconds
    x: float  # middle of the box
    y: float
    size: float  # longer side of the box
    overlap: float  # IoU with the box of whoever is nearest, with an id
    other: int | None  # who that is


@dataclass
class _Exchange:
    """A moment at which somebody may have become somebody else."""

    at: _Sighting
    number: int
    other: int
    strength: float
    why: dict[str, float]


@dataclass(slots=True)
class _Track:
    """Somebody through a video."""

    first: _Sighting
    last: _Sighting
    frames: int = 0
    scores: float = 0.0  # their sum
    gaps: list[tuple[int, int]] = field(default_factory=list)  # first and last frame of each
    before: list[_Sighting] = field(default_factory=list)  # the last SPAN but one
    after: list[_Sighting] = field(default_factory=list)  # the last SPAN
    exchange: _Exchange | None = None  # the last one, which may be one frame of a stronger one

    def see(self, one: _Sighting, score: float) -> None:
        """Go on by a frame."""
        if one.frame > self.last.frame + 1:
            self.gaps.append((self.last.frame + 1, one.frame - 1))
        self.last, self.frames, self.scores = one, self.frames + 1, self.scores + score
        self.after.append(one)
        while self.after[0].time <= one.time - SPAN:
            self.before.append(self.after.pop(0))
        while self.before and self.before[0].time < self.before[-1].time - SPAN:
            self.before.pop(0)

    def compare(self, number: int) -> _Exchange | None:
        """What changed between the last SPAN and the one before, if that looks like an exchange."""
        if not self.before or self.before[-1].time - self.before[0].time < SPAN / 2:
            return None
        start, middle, end = self.before[0], self.before[-1], self.last
        old, new = (sum(one.size for one in some) / len(some) for some in (self.before, self.after))
        if min(old, new) <= 0:
            return None
        earlier, later = middle.time - start.time, end.time - middle.time
        across = (end.x - middle.x) / later - (middle.x - start.x) / earlier
        down = (end.y - middle.y) / later - (middle.y - start.y) / earlier
        speed, size = float(np.hypot(across, down)) / max(old, new), max(old / new, new / old)
        if not (speed >= SPEED_JUMP or size >= SIZE_JUMP):
            return None
        nearest = max((*self.before, *self.after), key=lambda one: one.overlap)
        if nearest.other is None or nearest.overlap < OVERLAP:
            return None
        why = {"overlap": nearest.overlap}
        why |= {"speed": speed} if speed >= SPEED_JUMP else {}
        why |= {"size": size} if size >= SIZE_JUMP else {}
        return _Exchange(middle, number, nearest.other, max(speed / SPEED_JUMP, size / SIZE_JUMP), why)


def write_tracks(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A list of the ids of each video: when each is there, its gaps and mean score, and where to look for exchanges.

    `gaps` are first and last frames in which somebody is not found, whether they were filled or not. `exchanges` are
    moments at which two overlap, and one of them goes on with another speed or size. `why` has what was found: the
    `overlap` (IoU), a jump of `speed` (in lengths of the box a second), or of `size` (how many times).

    Args:
        path: of the json file.
        predictions: of the frames of videos, each in its order.
        scheme: of the predictions; any.

    Raises:
        UserError: there are pictures among the predictions.
    """
    with write_atomically(path) as file:
        file.write('{"videos": [')
        lead = ""
        for source, frames in groupby(with_objects(predictions, "tracks.json"), key=lambda one: one["source"]):
            file.write(f"{lead}\n{json.dumps(_sum_up(source, frames))}")
            lead = ","
        file.write("]}\n")


def _sum_up(source: str, frames: Iterable[dict]) -> dict[str, Any]:
    """What is said of a video."""
    tracks: dict[int, _Track] = {}
    exchanges: list[_Exchange] = []
    count = nameless = 0
    for one in frames:
        if "frame" not in one:
            raise UserError(f"{source}: a picture, where tracks.json has videos; save another format")
        known = [thing for thing in one["objects"] if "id" in thing and "filled" not in thing]
        count, nameless = count + 1, nameless + sum("id" not in thing for thing in one["objects"])
        for thing, seen in zip(known, _look(one, known), strict=True):
            number = thing["id"]
            track = tracks.setdefault(number, _Track(seen, seen))
            track.see(seen, thing["score"])
            found, earlier = track.compare(number), track.exchange
            if found is None:
                continue
            if earlier is not None and found.at.time - earlier.at.time > SPAN:
                exchanges.append(earlier)
                earlier = None
            if earlier is None or found.strength > earlier.strength:
                track.exchange = found
        if count % FORGET_EVERY == 0:
            _forget(tracks.values(), max((track.last.time for track in tracks.values()), default=0.0) - FORGET)
    exchanges += [track.exchange for track in tracks.values() if track.exchange is not None]
    timed = "time" in one
    return {
        "source": source,
        "frames": count,
        "without_id": nameless,
        "tracks": [_describe_track(number, tracks[number], timed) for number in sorted(tracks)],
        "exchanges": [_describe_exchange(one, timed) for one in _join(exchanges)],
    }


def _forget(tracks: Iterable[_Track], time: float) -> None:
    """Drop the sightings of who was last seen before a time, in seconds: of a long video there are thousands."""
    for track in tracks:
        if track.last.time < time:
            track.before, track.after = [], []


def _look(one: dict, known: list[dict]) -> list[_Sighting]:
    """Where those with an id are in a frame."""
    boxes = np.array([thing["box_xyxy"] for thing in known], np.float64).reshape(-1, 4)
    ids = [thing["id"] for thing in known]
    overlaps = box_iou(boxes[:, None], boxes)
    np.fill_diagonal(overlaps, 0)
    nearest = overlaps.argmax(axis=1).tolist() if len(ids) > 1 else [0] * len(ids)
    time = one.get("time", one["frame"] * USUAL_STEP)
    rows = np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1)]).tolist()
    sightings = []
    for row, (x, y, size) in enumerate(rows):
        overlap = float(overlaps[row, nearest[row]])
        sightings.append(_Sighting(one["frame"], time, x, y, size, overlap, ids[nearest[row]] if overlap else None))
    return sightings


def _join(exchanges: list[_Exchange]) -> list[_Exchange]:
    """In the order of frames, each pair once in a moment: the stronger side of it."""
    kept: dict[frozenset[int], list[_Exchange]] = {}
    for one in sorted(exchanges, key=lambda one: (one.at.frame, one.number)):
        same = kept.setdefault(frozenset((one.number, one.other)), [])
        if same and one.at.time - same[-1].at.time <= SPAN:
            same[-1] = max(same[-1], one, key=lambda one: one.strength)
        else:
            same.append(one)
    return sorted((one for same in kept.values() for one in same), key=lambda one: (one.at.frame, one.number))


def _describe_track(number: int, track: _Track, timed: bool) -> dict[str, Any]:
    times = {}
    if timed:
        seconds = track.last.time - track.first.time
        times = {"first_time": track.first.time, "last_time": track.last.time, "seconds": round(seconds, 6)}
    return {
        "id": number,
        "first_frame": track.first.frame,
        "last_frame": track.last.frame,
        **times,
        "frames": track.frames,
        "gaps": track.gaps,
        "score": round(track.scores / track.frames, 4),
    }


def _describe_exchange(one: _Exchange, timed: bool) -> dict[str, Any]:
    return {
        "frame": one.at.frame,
        **({"time": one.at.time} if timed else {}),
        "id": one.number,
        "other": one.other,
        "why": {name: round(value, 2) for name, value in one.why.items()},
    }
