"""A finished folder with corrected ids: the journal, the tables and the drawings, without predicting again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hrtoolkit.errors import DataError, UserError
from hrtoolkit.files import write_atomically
from hrtoolkit.predict.drawings import Drawings
from hrtoolkit.predict.journal import Journal, to_objects
from hrtoolkit.predict.output import JOURNAL, PICTURES, read_state
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Source, open_source
from hrtoolkit.predict.tables import find_format
from hrtoolkit.schemes import ClassScheme, KeypointScheme, Scheme, resolve_scheme
from hrtoolkit.tracking.edits import change_ids, check_edits, parse_edits


class Rewritten(NamedTuple):
    """What was written anew, and why some drawings were not."""

    files: list[Path]
    old_drawings: list[str]  # a sentence each

    def __str__(self) -> str:
        lines = ["ids corrected", *(f"  {path}" for path in self.files)]
        return "\n".join([*lines, *(f"{one}; its drawing keeps the old ids" for one in self.old_drawings)])


def edit_ids(folder: str | Path, text: str) -> Rewritten:
    """Correct ids in a folder of predictions.

    The journal is replaced last: where something stops it, the same corrections can be made again.

    Args:
        folder: was written with ids.
        text: see `hrtoolkit.tracking.edits.parse_edits`.

    Raises:
        UserError: the folder holds no predictions with ids, the corrections speak of what is not there, or something
            cannot be written.
    """
    folder = Path(folder)
    edits, path = parse_edits(text), folder / JOURNAL
    if not path.is_file():
        raise UserError(f"{folder}: no {JOURNAL} there; --out is to be a folder that hrtoolkit track has written")
    state = read_state(folder)
    fields = dict(state["scheme"])
    kind = fields.pop("kind")
    scheme = resolve_scheme(fields, KeypointScheme if kind == KeypointScheme.OUTPUTS else ClassScheme)
    wanted = check_edits(edits, Journal(path))
    changed = Journal(path, partial(change_ids, edits=wanted))
    files, old_drawings = [path], []
    for name in state["tables"]:
        if (folder / name).exists():
            find_format(name)[1](folder / name, changed, scheme)
            files.append(folder / name)
    if (folder / PICTURES).is_dir():
        for source, frames in groupby(changed, key=lambda one: one["source"]):
            if source in wanted:
                try:
                    _draw(Drawings(folder / PICTURES, state["tail"]), frames, scheme)
                except DataError as error:
                    old_drawings.append(str(error))
        files.append(folder / PICTURES)
    with write_atomically(path) as file:
        file.writelines(json.dumps(one) + "\n" for one in changed)
    return Rewritten(files, old_drawings)


def _draw(drawings: Drawings, frames: Iterable[dict[str, Any]], scheme: Scheme) -> None:
    """Draw a video again."""
    try:
        for one, image in _with_images(frames):
            source = Source(one["source"], one["path"], one["frame"], one.get("time"))
            drawings.add(one["output"], Prediction(source, to_objects(one, scheme), scheme, image))
        drawings.end_video()
    finally:
        drawings.discard_video()


def _with_images(frames: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Frames of a video with their images, read where they were read before."""
    # A video has one path, pictures one each.
    for (source, path), some in groupby(frames, key=lambda one: (one["source"], one.get("path"))):
        if path is None:
            raise DataError(f"{source}: was not read from a file, which could be read again")
        with closing(open_source(path)) as pictures:
            for one in some:
                picture = next((p for p in pictures if p.source.frame in (None, one["frame"])), None)
                if picture is None or picture.image.shape[:2] != (one["height"], one["width"]):
                    raise DataError(f"{path}: has another frame {one['frame']} than when it was predicted on")
                yield one, picture.image
