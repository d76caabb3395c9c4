"""Corrections of ids: `12=3`, who is called 12 is 3; `40:swap(1,2)`, from frame 40 on 1 and 2 are exchanged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from hrtoolkit.errors import OptionError, UserError, shorten

EDIT = re.compile(
    r"\s*(?:(?P<video>.+?):)??"
    r"(?:(?P<old>\d+)\s*=\s*(?P<new>\d+)|(?P<frame>\d+)\s*:\s*swap\(\s*(?P<a>\d+)\s*,\s*(?P<b>\d+)\s*\))\s*(?:,|$)"
)
EXPECTED = "expected corrections such as 12=3 (12 is 3) or 40:swap(1,2) (exchanged from frame 40 on), commas between"


class Merge(NamedTuple):
    """Who was called `old` is `new`."""

    video: str | None  # as the user names it
    old: int
    new: int

    def __str__(self) -> str:
        return f"{self.old}={self.new}"

    @property
    def ids(self) -> tuple[int, int]:
        return self.old, self.new

    def change(self, frame: int, ids: Sequence[int]) -> list[int]:
        """The ids of a frame after it."""
        return [self.new if one == self.old else one for one in ids]


class Swap(NamedTuple):
    """From a frame on `a` is called `b`, and `b` is called `a`."""

    video: str | None
    first_frame: int
    a: int
    b: int

    def __str__(self) -> str:
        return f"{self.first_frame}:swap({self.a},{self.b})"

    @property
    def ids(self) -> tuple[int, int]:
        return self.a, self.b

    def change(self, frame: int, ids: Sequence[int]) -> list[int]:
        """The ids of a frame after it."""
        if frame < self.first_frame:
            return [*ids]
        return [{self.a: self.b, self.b: self.a}.get(one, one) for one in ids]


Edit = Merge | Swap


def parse_edits(text: str) -> list[Edit]:
    """Read corrections, which are made one after another: `12=3,film.mp4:40:swap(1,2)`.

    Raises:
        OptionError: it is written in another way.
    """
    edits: list[Edit] = []
    place = 0
    while place < len(text) or not edits:
        found = EDIT.match(text, place)
        if found is None:
            raise OptionError(f"--edit {text!r}: {EXPECTED}, and before them perhaps the video: film.mp4:12=3")
        video = found["video"]
        if found["old"] is not None:
            edits.append(Merge(video, int(found["old"]), int(found["new"])))
        else:
            edits.append(Swap(video, int(found["frame"]), int(found["a"]), int(found["b"])))
        if len(set(edits[-1].ids)) == 1:
            raise OptionError(f"--edit {edits[-1]}: twice the same id; {EXPECTED}")
        place = found.end()
    return edits


class _Film:
    """What the corrections of a video meet there."""

    def __init__(self, edits: list[Edit]):
        self.edits = edits
        self.met: list[set[int]] = [set() for _ in edits]  # of the ids that each speaks of
        self.changed = [False] * len(edits)
        self.frames: list[int] = []  # first and last
        self.ids: set[int] = set()

    def add(self, source: str, frame: int, ids: list[int]) -> None:
        """Go on by a frame."""
        self.frames = [*self.frames[:1], frame]
        self.ids.update(ids)
        for place, edit in enumerate(self.edits):
            there = set(ids) & set(edit.ids)
            self.met[place] |= there
            if isinstance(edit, Merge) and len(there) == 2:
                raise UserError(f"--edit {edit}: both are in frame {frame} of {source}, so they are two")
            changed = edit.change(frame, ids)
            self.changed[place] |= changed != ids
            ids = changed

    def check(self, source: str) -> None:
        """Refuse what is not there."""
        first, last = self.frames[0], self.frames[-1]
        for edit, met, changed in zip(self.edits, self.met, self.changed, strict=True):
            if missing := [one for one in edit.ids if one not in met]:
                raise UserError(
                    f"--edit {edit}: {source} has no id {missing[0]} then; it has {shorten(sorted(self.ids))}"
                )
            if isinstance(edit, Swap) and not first <= edit.first_frame <= last:
                raise UserError(f"--edit {edit}: {source} has the frames {first} to {last}")
            if not changed:
                raise UserError(f"--edit {edit}: nobody of them is in {source} from that frame on")


def check_edits(edits: Sequence[Edit], predictions: Iterable[dict[str, Any]]) -> dict[str, list[Edit]]:
    """The corrections of each video, by its name; everything that they speak of is there.

    Args:
        edits: of `parse_edits`.
        predictions: of a `Journal`.

    Raises:
        UserError: a video, frame or id is not there, two people would become one, or there are no ids at all.
    """
    sources = list(dict.fromkeys(one["source"] for one in predictions if "frame" in one))
    films = {source: _Film([]) for source in sources}
    for edit in edits:
        films[_find_video(edit, sources)].edits.append(edit)
    films = {source: _Film(film.edits) for source, film in films.items()}
    for one in predictions:
        if one["source"] in films:
            ids = [thing["id"] for thing in one.get("objects", ()) if "id" in thing]
            films[one["source"]].add(one["source"], one["frame"], ids)
    if not any(film.ids for film in films.values()):
        raise UserError("--edit: nobody has an id there; hrtoolkit track gives ids, and hrtoolkit predict does not")
    for source, film in films.items():
        film.check(source)
    return {source: film.edits for source, film in films.items() if film.edits}


def _find_video(edit: Edit, sources: Sequence[str]) -> str:
    """The video of a correction, which is named in full or by the end of its path."""
    if edit.video is None:
        found = list(sources)
    else:
        name = PurePosixPath(edit.video).parts
        found = [one for one in sources if one == edit.video]
        found = found or [one for one in sources if PurePosixPath(one).parts[-len(name) :] == name]
    if len(found) == 1:
        return found[0]
    if not sources:
        raise UserError("--edit: there are no videos, and ids are for videos")
    what = "no such video" if edit.video is not None and not found else "several videos; name one before it"
    told = str(edit) if edit.video is None else f"{edit.video}:{edit}"
    raise UserError(f"--edit {told}: {what}, such as {sources[0]}:{edit}; there are {shorten(sources)}")


def change_ids(one: dict[str, Any], edits: Mapping[str, Sequence[Edit]]) -> dict[str, Any]:
    """A prediction of a `Journal` with the ids that it has after corrections, by video."""
    for edit in edits.get(one["source"], ()):
        for thing in one["objects"]:
            if "id" in thing:
                thing["id"] = edit.change(one["frame"], [thing["id"]])[0]
    return one
