"""What people hand to a predictor, turned into pictures one after another: paths, arrays, bytes, videos and cameras."""

from __future__ import annotations

import glob
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import cv2
import numpy as np

from .arrays import to_images
from .errors import DataError, OptionError, UserError, printable
from .images import decode_image, is_picture, recognise

log = logging.getLogger(__name__)
# What is looked for in folders; a file that is named outright is read by its content.
PICTURE = re.compile(
    r"\.(jpe?g|jpe|jfif|a?png|webp|bmp|dib|gif|tiff?|hei[cf]|avif|jp2|j2k|p[pgbn]m|tga|mpo|jxl|ico|pcx|sgi)$",
    re.IGNORECASE,
)
VIDEO = re.compile(
    r"\.(mp4|mov|avi|mkv|webm|m4v|mpe?g|wmv|m?ts|m2ts|flv|3gp|3g2|ogv|mjpe?g|h?26[45]|hevc|y4m|mxf|vob|asf|f4v|insv|lrv)$",
    re.IGNORECASE,
)
STREAMS = ("rtsp://", "rtsps://", "rtmp://", "udp://", "tcp://")  # that OpenCV opens
HEAD = 512  # bytes that tell a file's kind
ACCEPTED = "a path, folder, pattern, list, NumPy array, bytes, open file or camera number is taken"


class Source(NamedTuple):
    """Where a picture is from.

    Args:
        name: what messages and results call it: as given, or relative to the folder or pattern given.
        path: of its file.
        frame: its number in a video, animation or file of pages, from 0.
        time: seconds from the start of the video, animation or camera.
    """

    name: str
    path: str | None = None
    frame: int | None = None
    time: float | None = None


class Picture(NamedTuple):
    """A picture to predict on.

    Args:
        source: where it is from.
        image: RGB uint8 [H, W, 3], upright as a viewer shows it, in memory of its own.
    """

    source: Source
    image: np.ndarray


class HasArray(Protocol):
    """An array or tensor: what `np.asarray` takes."""

    def __array__(self) -> np.ndarray: ...


class Camera(NamedTuple):
    """A camera by its number, or a stream by its address."""

    number: int | str


Readable = str | os.PathLike[str] | int | bytes | bytearray | memoryview | IO[bytes] | HasArray
Readables = Readable | Iterable[Readable]  # one thing with pictures, or several


def natural(name: str) -> tuple[list, str]:
    """Key of an order in which frame_2 comes before frame_10."""
    parts = re.split("([0-9]+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def is_live(source: object) -> bool:
    """Whether a source is a camera (0, "0") or a network stream ("rtsp://..."), which has no end."""
    if isinstance(source, str):
        return (source.isascii() and source.isdigit()) or source.startswith(STREAMS)
    return isinstance(source, int | np.integer) and not isinstance(source, bool)


def open_source(
    source: Readables,
    *,
    recursive: bool = True,
    order: str = "rgb",
    on_failure: Callable[[Source, UserError], None] | None = None,
) -> Iterator[Picture]:
    """Read pictures in order, one by one.

    A source is a path; a folder; a pattern (`a/**/*.png`); a NumPy array or a batch of them; bytes; an open file; or a
    list or iterator of any of these. A file is read by its content; a video gives each frame, and of an animation the
    first one counts. The number of a camera, or the address of a stream (rtsp), is a source by itself.

    Args:
        source: see above; for arrays see `to_images`.
        recursive: read the folders inside a folder too.
        order: of the channels of arrays, "rgb" or "bgr".
        on_failure: is given what cannot be read, and the rest goes on.

    Raises:
        DataError: something cannot be read, and there is no `on_failure`.
    """
    if order not in ("rgb", "bgr"):
        raise OptionError(f"order is {order!r}; it is 'rgb' or 'bgr'")
    for place, content in _find(source, recursive, count(), alone=True):
        try:
            for changed, image in _read(place, content, order):
                yield Picture(changed, image)
        except UserError as error:
            if on_failure is None:
                raise
            on_failure(place, error)


def _find(source: Any, recursive: bool, numbers: Iterator[int], alone: bool) -> Iterator[tuple[Source, Any]]:
    """Sources, and what is in memory of them, a path, a camera or an error."""
    if is_live(source):
        name = str(source) if isinstance(source, str) and not source.isdigit() else f"camera_{int(source)}"
        opened = name if name == source else int(source)
        error = DataError(f"{name}: a camera or stream is a source by itself, not one of a list")
        yield Source(name), Camera(opened) if alone else error
    elif isinstance(source, str | os.PathLike):
        yield from _find_paths(source, recursive)
    elif getattr(source, "ndim", 0) == 4:
        yield from ((Source(f"image_{next(numbers)}"), one) for one in source)
    elif isinstance(source, Iterable) and not isinstance(source, Mapping) and not _is_whole(source):
        for one in source:
            yield from _find(one, recursive, numbers, alone=False)
    else:
        number, stated = next(numbers), getattr(source, "name", None)
        yield Source(printable(stated) if isinstance(stated, str) and stated else f"image_{number}"), source


def _is_whole(source: object) -> bool:
    """Whether something that can be iterated is one picture, not a list of sources."""
    return isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "__array__") or hasattr(source, "read")


def _find_paths(source: str | os.PathLike, recursive: bool) -> Iterator[tuple[Source, Any]]:
    path = Path(source)
    if "://" in str(source):
        yield Source(str(source)), DataError(f"{source}: addresses are not read; download it and give the file")
    elif path.is_dir():
        found = _walk(path, recursive)
        yield from ((Source(printable(str(one.relative_to(path))), str(one)), one) for one in found)
        if not found:
            yield (
                Source(str(path)),
                DataError(f"{path}: no pictures or videos in this folder (.jpg, .png, .mp4 and others)"),
            )
    elif isinstance(source, str) and not path.exists() and glob.has_magic(source):
        names = sorted(glob.iglob(source, recursive=True), key=natural)  # noqa: PTH207 (pathlib takes no absolute ones)
        first = next(place for place, part in enumerate(path.parts) if glob.has_magic(part))
        base = Path(*path.parts[:first])
        found = [Path(name) for name in names if _looks_right(Path(name))]
        yield from ((Source(printable(os.path.relpath(one, base)), str(one)), one) for one in found)
        if not found:
            yield Source(source), DataError(f"{source}: no pictures or videos match this pattern")
    else:
        yield Source(printable(str(path)), str(path)), path


def _walk(folder: Path, recursive: bool) -> list[Path]:
    """Pictures and videos of a folder in natural order, files before folders."""
    entries = sorted(folder.iterdir(), key=lambda entry: natural(entry.name))
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    found = [entry for entry in entries if _looks_right(entry)]
    if recursive:
        found += [
            one for entry in entries if entry.is_dir() and not entry.is_symlink() for one in _walk(entry, recursive)
        ]
    return found


def _looks_right(path: Path) -> bool:
    return path.is_file() and bool(PICTURE.search(path.name) or VIDEO.search(path.name))


def _read(place: Source, content: Any, order: str) -> Iterator[tuple[Source, np.ndarray]]:
    if isinstance(content, UserError):
        raise content
    if isinstance(content, Camera):
        yield from _read_frames(place, content.number, live=True)
    elif isinstance(content, Path):
        data = _read_bytes(content, HEAD)
        if is_picture(data) or not _may_be_video(content, data):
            yield place, decode_image(_read_bytes(content), place.name)
        else:
            yield from _read_frames(place, str(content), live=False)
    elif isinstance(content, bytes | bytearray | memoryview) or hasattr(content, "read"):
        data = content.read() if hasattr(content, "read") else content
        if not isinstance(data, bytes | bytearray | memoryview):
            raise DataError(f"{place.name}: a file opened for text; open it with mode 'rb'")
        yield place, decode_image(bytes(data), place.name)
    elif hasattr(content, "__array__"):
        yield from ((place, image) for image in to_images(content, place.name, order))
    elif content is None:
        raise DataError(
            f"{place.name}: None: was the picture read? (cv2.imread gives None where it cannot read a file)"
        )
    else:
        raise DataError(f"{place.name}: nothing is known to be done with a {type(content).__name__}; {ACCEPTED}")


def _read_bytes(path: Path, most: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise DataError(f"{path}: the file is empty (0 bytes)")
    return data


def _may_be_video(path: Path, head: bytes) -> bool:
    return recognise(head) == "a video" or (not recognise(head) and bool(VIDEO.search(path.name)))


def _read_frames(place: Source, opened: str | int, live: bool) -> Iterator[tuple[Source, np.ndarray]]:
    """Frames of a video, or of a camera or stream until it ends, upright where OpenCV knows how."""
    capture = cv2.VideoCapture(opened)
    number, start = 0, time.monotonic()
    try:
        if live:
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not those that waited
        while True:
            there, frame = capture.read()
            if not there:
                break
            seconds = time.monotonic() - start if live else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            yield place._replace(frame=number, time=seconds), cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            number += 1
    finally:
        capture.release()
    if not number:
        advice = "is it plugged in and free?" if live else "it is damaged, or of a kind that this OpenCV cannot decode"
        raise DataError(f"{place.name}: not one frame could be read; {advice}")
