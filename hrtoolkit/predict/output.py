"""A folder of predictions: what was found line by line, pictures, and tables; a run that was stopped goes on there."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.files import check_writable, not_written, remove_unfinished, write_atomically
from hrtoolkit.predict.drawings import Drawings, drawn_name, is_moving, numbered
from hrtoolkit.predict.journal import Journal
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Source
from hrtoolkit.predict.tables import find_format
from hrtoolkit.predict.unfinished import Unfinished
from hrtoolkit.records import LabelMap, Objects, ValueMap
from hrtoolkit.schemes import ClassScheme, Scheme, scheme_fields
from hrtoolkit.visualization import write_label_map, write_value_map

JOURNAL, STATE, UNFINISHED = "predictions.jsonl", "run.json", "unfinished"
PICTURES, LABELS, VALUES, MASKS = FOLDERS = ("pictures", "labels", "values", "masks")
MAPS = FOLDERS[1:]
AHEAD = 16  # predictions that may wait for being written
LONGEST_NAME = 200  # bytes, of a file; systems allow 255


class Output:
    """Writes predictions into a folder, in a thread of its own.

    `predictions.jsonl` gets a line a prediction as soon as its pictures are written; `run.json` holds what the folder
    was made with, and which videos are finished. A second run with the same settings leaves out what is there. A video
    that is not finished is written anew, from what its predictor finds in `unfinished`.

    Args:
        folder: is made if needed.
        scheme: of the predictions.
        settings: what predictions depend on, in plain values.
        pictures: draw them.
        save: further formats: of `tables.FORMATS`, a file name with the suffix of one, "labels" (label maps as palette
            PNGs), "values" (numbers of pixels as .npy) or "masks" (PNGs with the number of the object of each pixel,
            from 1).
        tail: seconds of the past that are drawn into videos as a line behind everybody with an id.

    Raises:
        OptionError: the tail is no number from 0 on.
        UserError: a format is not known or has no place for such predictions, the folder cannot be written, or it holds
            something else.
    """

    def __init__(
        self,
        folder: str | Path,
        scheme: Scheme,
        settings: Mapping[str, Any],
        pictures: bool = True,
        save: Sequence[str] = (),
        tail: float = 0.0,
    ):
        if not 0 <= tail < math.inf:
            raise OptionError(f"tail is {tail}, expected seconds, a number from 0 on")
        self.folder, self.scheme, self.settings = Path(folder), scheme, dict(settings)
        self.save = [name for name in save if name != "jsonl"]
        self.tables = dict(find_format(name) for name in self.save if name not in MAPS)
        self._try_tables()
        self.tail = tail
        self.folders = [PICTURES] * pictures + [name for name in MAPS if name in self.save]
        check_writable(self.folder, folder=True)
        self.videos: list[str] = []  # that are finished
        self.earlier: list[str] = []  # tables that an earlier run wrote
        self.done: set[str] = set()  # names of sources
        self.unfinished = Unfinished(self.folder / UNFINISHED)
        self._names: dict[str, str] = {}  # of pictures, and the sources that they belong to
        self._resume()
        for folder in {path.parent for name in FOLDERS for path in (self.folder / name).rglob(".*.unfinished")}:
            remove_unfinished(folder)
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future] = deque()
        self._drawings = Drawings(self.folder / PICTURES, tail) if pictures else None
        self._video: str | None = None

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL

    def _try_tables(self) -> None:
        """Write them without predictions: a format that has no place for them, or lacks a package, is told at once."""
        with TemporaryDirectory() as folder:
            for name, write in self.tables.items():
                write(Path(folder) / name, (), self.scheme)

    def _resume(self) -> None:
        """Read what an earlier run wrote, and drop what it did not finish."""
        state = self.folder / STATE
        taken = [name for name in (JOURNAL, *self.folders) if (self.folder / name).exists()]
        if taken and not state.exists():
            raise UserError(f"{self.folder}: {taken[0]} is there, but no {STATE} beside it; name another folder")
        stored = read_state(self.folder) if state.exists() else None
        settings = {} if stored is None else stored["settings"]
        other = [name for name in self.settings if settings.get(name) != self.settings[name]]
        if stored is None or not self.journal.exists() or not self.journal.stat().st_size:  # nothing was written
            if other:
                self.unfinished.remove()
            self._write_state()
            return
        self.videos, self.earlier = list(stored["videos"]), list(stored["tables"])
        if other:
            name = other[0]
            raise UserError(
                f"{self.folder} has predictions with {name} {settings.get(name)!r}, not {self.settings[name]!r}; name "
                "another folder"
            )
        with write_atomically(self.journal) as file:
            for one in self.predictions():
                if "frame" not in one or one["source"] in self.videos:
                    file.write(json.dumps(one) + "\n")
                    self.done.add(one["source"])
                    self._names[drawn_name(one["output"], "frame" in one and "time" in one)] = one["source"]
        self._write_state()

    def _write_state(self) -> None:
        state = {
            "settings": self.settings,
            "videos": self.videos,
            "tables": list(dict.fromkeys([*self.earlier, *self.tables])),
            "scheme": {"kind": self.scheme.OUTPUTS, **scheme_fields(self.scheme)},
            "tail": self.tail,
        }
        with write_atomically(self.folder / STATE) as file:
            file.write(json.dumps(state, indent=1))

    def skip(self, source: Source) -> bool:
        """Whether a source is done already, or is itself an output of this folder."""
        if source.path is not None:
            path, folder = Path(source.path).resolve(), self.folder.resolve()
            if any(path.is_relative_to(folder / name) for name in FOLDERS):
                return True
        return source.name in self.done

    def add(self, prediction: Prediction) -> None:
        """Write one prediction; of a video those of all frames side by side, in their order."""
        while len(self._pending) >= AHEAD or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._write, prediction))

    def finish(self) -> list[Path]:
        """Write what waits, and the tables.

        Returns:
            the files and folders that hold predictions.

        Raises:
            UserError: something cannot be written; all else is.
        """
        while self._pending:
            self._pending.popleft().result()
        self._thread.submit(self._end_video).result()
        self.unfinished.remove()
        self.journal.touch()
        written = [self.folder / name for name in self.folders if (self.folder / name).exists()]
        failed = []
        for name, write in self.tables.items():
            try:
                write(self.folder / name, self.predictions(), self.scheme)
                written.append(self.folder / name)
            except UserError as error:
                failed.append(str(error))
        if failed:
            raise UserError("\n".join(failed) + f"\nall else is written to {self.folder}")
        return [self.journal, *written]

    def close(self) -> None:
        """End the thread; a video that is not finished is written anew by the next run."""
        self.unfinished.close()
        for future in self._pending:
            future.cancel()
        if self._drawings is not None:
            self._thread.submit(self._drawings.discard_video)
        self._thread.shutdown()

    def predictions(self) -> Journal:
        """All that the folder holds."""
        return Journal(self.journal)

    def _write(self, prediction: Prediction) -> None:
        source = prediction.source
        if self._video is not None and self._video != source.name:
            self._end_video()
        name = self._name(source)
        one: dict[str, Any] = {**prediction.to_dict(), "output": name}
        if source.frame is not None:
            self._video = source.name
            if source.path is not None:
                one["path"] = str(Path(source.path).absolute())
        if self._drawings is not None:
            self._drawings.add(name, prediction)
        self._write_maps(numbered(name, source), prediction)
        self._note(json.dumps(one))

    def _note(self, line: str) -> None:
        """Add a line to the journal, or nothing of it."""
        whole = self.journal.stat().st_size if self.journal.exists() else 0
        try:
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.journal, whole)
            raise not_written(self.journal, error) from error

    def _write_maps(self, name: str, prediction: Prediction) -> None:
        record, scheme = prediction.record, prediction.scheme
        if LABELS in self.folders and isinstance(record, LabelMap):
            assert isinstance(scheme, ClassScheme)
            write_label_map(self.folder / LABELS / f"{name}.png", record.label_map, scheme)
        if VALUES in self.folders and isinstance(record, ValueMap):
            write_value_map(self.folder / VALUES / f"{name}.npy", record.values)
        if MASKS in self.folders and isinstance(record, Objects) and record.masks is not None:
            numbers = np.zeros(prediction.image.shape[:2], np.uint16)
            drawn = record.masks.draw()
            for number in reversed(range(len(drawn))):  # the best on top
                numbers[drawn[number] > 0] = number + 1
            with write_atomically(self.folder / MASKS / f"{name}.png", "wb") as file:
                Image.fromarray(numbers).save(file, "PNG")

    def _end_video(self) -> None:
        if self._video is not None:
            if self._drawings is not None:
                self._drawings.end_video()
            self.videos.append(self._video)
            self._write_state()
            self.unfinished.end_film(self._video)
            self._video = None

    def _name(self, source: Source) -> str:
        """A name below the folder for the files of a source: its own, made safe, and like no other's."""
        wanted = safe_name(source.name)
        name, number = wanted, 2
        moving = is_moving(source)
        while self._names.setdefault(drawn_name(name, moving), source.name) != source.name:
            name, number = f"{wanted}_{number}", number + 1
        return name


def read_state(folder: Path) -> dict[str, Any]:
    """What `run.json` says: settings, finished videos, tables, kind and fields of the scheme, and seconds of tails.

    Raises:
        UserError: it cannot be read, or says something else.
    """
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return {name: state[name] for name in ("settings", "videos", "tables", "scheme", "tail")}
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder / STATE}: cannot be read; remove it, or name another folder") from None


def safe_name(name: str) -> str:
    """A relative path without .., of names that any system takes: folders are kept, so is the suffix.

    The suffix stays in the name, so that 1.jpg and 1.png do not meet.
    """
    name = re.sub(r"^\w+://(?:[^/@]*@)?", "", name)  # of an address without its password
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
    return "/".join(_safe_part(part) for part in parts) or "picture"


def _safe_part(part: str) -> str:
    safe = re.sub(r'[<>:"|?*\x00-\x1f\ud800-\udfff]', "_", part)
    if safe == part and len(os.fsencode(safe)) <= LONGEST_NAME:
        return safe
    digest = hashlib.sha1(part.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()[:8]
    return f"{safe.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}_{digest}"
