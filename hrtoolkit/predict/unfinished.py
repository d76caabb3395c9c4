"""What was found in the frames of a film that is not finished, before anybody has an id: kept for the next run."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from hrtoolkit.files import not_written
from hrtoolkit.masks import Masks
from hrtoolkit.predict.sparse_detection import Detection
from hrtoolkit.records import Category, Objects, Record
from hrtoolkit.runtime.boxes import Boxes
from hrtoolkit.runtime.sources import Picture, Source

STRIDE = 16  # pixels, between those by which a picture is known again


class Found(NamedTuple):
    """What was found in a frame."""

    frame: int
    mark: int  # of its picture, see `_mark`
    record: Record  # as the network gave it
    detection: Detection | None  # where a detector looks at some frames


class Unfinished:
    """A folder with a file for each film that is not finished; a line holds the frames that the network saw together.

    Whoever predicts takes from it what an earlier run has found, and adds the rest. Maps of pixels are too large.

    Args:
        folder: is made for the first film.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.taken = 0  # frames
        self._film: str | None = None
        self._file: IO[bytes] | None = None
        self._whole = 0  # bytes of the file that stay when it is written on
        self._frames: Iterator[Found] = iter(())
        self._next: Found | None = None  # of them; None where the earlier run ended
        self._marks: dict[int, int] = {}  # of frames that the network looks at
        self._line: list[Any] = []

    def take(self, picture: Picture, where: Boxes | None) -> Found | None:
        """What an earlier run found in the next picture; None where the network has to look.

        From a frame on that is another one now, there is nothing any more.

        Args:
            picture: of any source; those of a film in their order.
            where: a person says that somebody is.

        Raises:
            UserError: the folder cannot be written.
        """
        place = picture.source
        if place.frame is None:
            return None
        if place.name != self._film:
            self._open(place.name)
        mark, found = _mark(picture, where), self._next
        if found is not None and (found.frame, found.mark) == (place.frame, mark):
            self.taken += 1
            self._advance()
            return found
        if found is not None and found.frame <= place.frame:
            self._end_reading()
        if self._next is None:  # otherwise this frame could not be looked at
            self._marks[place.frame] = mark
        return None

    def add(self, source: Source, record: Record, detection: Detection | None) -> None:
        """Keep what was found in a picture that was not there; it goes into a line with others.

        Args:
            source: of the picture.
            record: as the network gave it.
            detection: where a detector looks at some frames.
        """
        if source.frame in self._marks and type(record).__name__ in KINDS:
            self._line.append(_pack(Found(source.frame, self._marks[source.frame], record, detection)))

    def end_line(self) -> None:
        """Write the line of what was added.

        Raises:
            UserError: the system does not let it be written.
        """
        if self._line and self._file is not None:
            try:
                self._file.write(json.dumps(self._line).encode() + b"\n")
                self._file.flush()
            except OSError as error:
                raise not_written(Path(self._file.name), error) from error
        self._line, self._marks = [], {}

    def end_film(self, name: str) -> None:
        """Forget a film, which is finished."""
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, which stays."""
        if self._file is not None:
            with suppress(OSError):  # of a full disk, which was told
                self._file.close()
        self._file = self._film = None

    def remove(self) -> None:
        """Forget every film."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        digest = hashlib.sha1(name.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        return self.folder / f"{digest[:16]}.jsonl"

    def _open(self, name: str) -> None:
        self.close()
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise not_written(path, error) from error
        self._film, self._frames = name, self._read(self._file)
        self._advance()

    def _read(self, file: IO[bytes]) -> Iterator[Found]:
        """The frames of a file, without what a killed run left half of its last line."""
        file.seek(0)
        self._whole = whole = 0
        for line in iter(file.readline, b""):
            try:
                frames = [_unpack(one) for one in json.loads(line)]
            except (ValueError, TypeError, LookupError):
                return
            if not line.endswith(b"\n") or not all(isinstance(one, Found) for one in frames):
                return
            yield from frames
            self._whole = whole = whole + len(line)

    def _advance(self) -> None:
        self._next = next(self._frames, None)
        if self._next is None:
            self._end_reading()

    def _end_reading(self) -> None:
        self._next = None
        if self._file is not None:
            self._file.truncate(self._whole)


def _mark(picture: Picture, where: Boxes | None) -> int:
    """A number by which a picture is known again, and where somebody looks in it."""
    mark = zlib.crc32(repr(picture.image.shape).encode())
    for array in (picture.image[::STRIDE, ::STRIDE], *(where or ())):
        mark = zlib.crc32(array.tobytes(), mark)
    return mark


def _pack(value: Any) -> Any:
    """A named tuple, an array, or what json holds anyway, as json can hold it without a loss."""
    if isinstance(value, np.ndarray):
        data = base64.b64encode(value.tobytes()).decode()
        return {"kind": "array", "type": value.dtype.str, "shape": value.shape, "data": data}
    if names := getattr(value, "_fields", None):
        return {"kind": type(value).__name__} | {name: _pack(one) for name, one in zip(names, value, strict=True)}
    return value


def _unpack(value: Any) -> Any:
    if not isinstance(value, dict) or "kind" not in value:
        return value
    fields = {name: _unpack(one) for name, one in value.items()}
    return KINDS[fields.pop("kind")](**fields)


def _unpack_array(type: str, shape: list[int], data: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data), type).reshape(shape).copy()


def _unpack_masks(size_hw: list[int], segmentations: list[Any]) -> Masks:
    height, width = size_hw
    return Masks((height, width), segmentations)


KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Boxes, Category, Detection, Found, Objects)}
KINDS |= {"Masks": _unpack_masks, "array": _unpack_array}
