"""What people hand to a predictor, turned into pictures one after another, read a little ahead."""

from __future__ import annotations

import io
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from PIL import Image

from hrtoolkit.addresses import fetch
from hrtoolkit.data.images import DAMAGE, decode_image, open_picture
from hrtoolkit.data.paths import MAX_BYTES, open_file
from hrtoolkit.errors import DataError, OptionError, UserError
from hrtoolkit.predict.arrays import count_frames_of, pil_to_rgb, read_frames
from hrtoolkit.predict.finding import PICTURE, Address, find_paths, printable
from hrtoolkit.predict.live import LIMIT_SECONDS, is_live, live_name, read_live
from hrtoolkit.predict.read_ahead import read_ahead
from hrtoolkit.predict.video import count_frames, read_video
from hrtoolkit.runtime.arrays import to_images
from hrtoolkit.runtime.images import is_picture, recognise
from hrtoolkit.runtime.sources import HasArray, Picture, Source

AHEAD = 4  # pictures that wait, decoded; those of telephones take 150 MB each
THREADS = min(4, os.cpu_count() or 1)
HEAD = 512  # bytes that tell a file's kind
MAY_MOVE = (b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ACCEPTED = (
    "a path, folder, pattern, list, NumPy array, tensor, PIL image, bytes, open file, address or camera number is taken"
)


Readable = str | os.PathLike[str] | int | bytes | bytearray | memoryview | IO[bytes] | Image.Image | HasArray
Readables = Readable | Iterable[Readable]  # one thing with pictures, or several
Found = tuple[Source, Any]  # a source, and what is in memory of it, a path, an address or an error


def open_source(
    source: Readables,
    *,
    recursive: bool = True,
    order: str = "rgb",
    on_failure: Callable[[Source, UserError], None] | None = None,
    skip: Callable[[Source], bool] | None = None,
    frame_rate: float | None = None,
) -> Generator[Picture, None, None]:
    """Read pictures in order, one by one, a few ahead in threads; to close the generator ends them.

    A source is a path; a folder; a pattern (`a/**/*.png`, `frame_%04d.png`); a text file (.txt) with a path a line; "-"
    for standard input; an address (http, https, rtsp and other streams); the number of a camera; a NumPy array or
    tensor, or a batch of them; a PIL image; bytes; an open file; or a list or iterator of any of these but cameras.
    A file is read by its content, whatever its name; videos, animations and pages give each frame. Files of the
    operating system are left out, and others that are no pictures or videos are counted in the log.

    Args:
        source: see above; for arrays see `hrtoolkit.predict.arrays.to_images`.
        recursive: read the folders inside a folder too.
        order: of the channels of arrays and tensors, "rgb" or "bgr".
        on_failure: is given what cannot be read, and the rest goes on.
        skip: is asked before a file is read, of a video once; True leaves it out.
        frame_rate: pictures are the frames of films, a folder each, and there are so many a second; one that cannot be
            read is a gap.

    Raises:
        DataError: something cannot be read, and there is no `on_failure`.
        UserError: a video comes, and PyAV is not installed.
    """
    if order not in ("rgb", "bgr"):
        raise OptionError(f"order is {order!r}; it is 'rgb' or 'bgr'")
    if frame_rate is not None and not 0 < frame_rate < math.inf:
        raise OptionError(f"frame_rate is {frame_rate}, expected frames a second, a number above 0")
    skip, frames = skip_films(skip, frame_rate) or (lambda source: False), Counter[str]()
    with ExitStack() as stack:
        if is_live(source):
            pictures = ((Source(live_name(source), None, f.number, f.time), f.image) for f in read_live(source))
            results = read_ahead(_catch(pictures, live_name(source)), 1, newest=True, limit=3 * LIMIT_SECONDS)
        else:
            pool = stack.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="decode"))
            found = find(source, recursive)
            results = read_ahead(_read_all(found, order, skip, pool), AHEAD)
        for place, result in stack.enter_context(closing(results)):
            if frame_rate is not None and place.frame is None:
                film = film_of(place)
                number = frames[film.name]
                frames[film.name] += 1
                place = film._replace(frame=number, time=number / frame_rate)
            try:
                image = result.result() if isinstance(result, Future) else result
                if isinstance(image, UserError):
                    raise image
            except UserError as error:
                if on_failure is None:
                    raise
                on_failure(place, error)
                continue
            yield Picture(place, image)
            del result, image  # or they would be held while the next one is decoded


def film_of(place: Source) -> Source:
    """A film whose frames are pictures, by one of them: it is called as their folder."""
    return place._replace(name=printable(os.path.dirname(place.path or "")) or "frames")  # noqa: PTH120


def skip_films(skip: Callable[[Source], bool] | None, frame_rate: float | None) -> Callable[[Source], bool] | None:
    """`skip`, asked also of the film that a picture is a frame of, where pictures are frames."""
    if skip is None or frame_rate is None:
        return skip
    return lambda place: skip(place) or skip(film_of(place))


def count_pictures(
    source: Readables, recursive: bool = True, skip: Callable[[Source], bool] | None = None
) -> int | None:
    """About how many pictures a source has, from the headers of its files: a hint for a progress bar.

    Args:
        source: see `open_source`; an iterator is not touched.
        recursive: see `open_source`.
        skip: see `open_source`.

    Returns:
        None where nobody knows: cameras, iterators, addresses, videos that do not say.
    """
    if is_live(source) or (isinstance(source, Iterable) and not hasattr(source, "__len__") and not _is_whole(source)):
        return None
    total = 0
    for place, content in find(source, recursive, tell=False):
        if skip is None or not skip(place):
            number: int | None = 1
            if isinstance(content, Path):
                number = _count_in_file(content, place.name)
            elif isinstance(content, Address) or hasattr(content, "read"):
                return None
            if number is None:
                return None
            total += number
    return total


def find(source: Any, recursive: bool, tell: bool = True, numbers: Iterator[int] | None = None) -> Iterator[Found]:
    """Find the pictures and videos of a source one after another, without reading them; errors come in their place.

    Args:
        source: see `open_source`.
        recursive: see `open_source`.
        tell: log what is left out.
        numbers: of what has no name.
    """
    inside, numbers = numbers is not None, numbers or count()
    if isinstance(source, str | os.PathLike):
        for name, path, content in find_paths(source, recursive, tell, inside):
            yield Source(name, path), content
    elif isinstance(source, Iterable) and not isinstance(source, Mapping) and not _is_whole(source):
        for one in source:
            yield from find(one, recursive, tell, numbers)
    elif _is_batch(source):
        yield from ((Source(f"image_{next(numbers)}"), one) for one in source)
    else:
        number = next(numbers)
        stated = getattr(source, "filename", None) or getattr(source, "name", None)
        name = printable(stated) if stated and isinstance(stated, str) else f"image_{number}"
        if inside and is_live(source):
            source = DataError(f"{live_name(source)}: a camera is a source by itself, not one of a list")
        yield Source(name), source


def _is_whole(source: Any) -> bool:
    """Whether something that can be iterated is one picture or batch, not a list of sources."""
    if hasattr(source, "__array__"):
        kind = getattr(source, "dtype", None)
        return getattr(kind, "kind", "") not in ("O", "U")  # an array or column of paths is a list
    return isinstance(source, str | bytes | bytearray | memoryview | os.PathLike) or hasattr(source, "read")


def _is_batch(source: Any) -> bool:
    return hasattr(source, "__array__") and getattr(source, "ndim", 0) == 4


def _catch(pictures: Iterator[tuple[Source, Any]], name: str) -> Generator[tuple[Source, Any], None, None]:
    """The pictures, and a mistake of the user's as the last of them."""
    try:
        yield from pictures
    except UserError as error:
        yield Source(name), error


def _read_all(
    found: Iterator[Found], order: str, skip: Callable[[Source], bool], pool: ThreadPoolExecutor
) -> Generator[tuple[Source, Any], None, None]:
    """Sources with their images, images to come (of a pool) or errors."""
    for place, content in found:
        if skip(place):
            continue
        try:
            with ExitStack() as stack:
                yield from _read(place, content, order, pool, stack)
        except UserError as error:
            yield place, error


def _read(
    place: Source, content: Any, order: str, pool: ThreadPoolExecutor, stack: ExitStack
) -> Iterator[tuple[Source, Any]]:
    if isinstance(content, UserError):
        raise content
    if isinstance(content, Path):
        yield from _read_file(stack.enter_context(open_file(content)), place, pool)
    elif isinstance(content, Address):
        yield from _read_file(stack.enter_context(fetch(content)), place, pool)
    elif content is sys.stdin or isinstance(content, bytes | bytearray | memoryview) or hasattr(content, "read"):
        yield from _read_file(io.BytesIO(_bytes_of(content, place.name)), place, pool)
    elif isinstance(content, Image.Image):
        yield place, pil_to_rgb(content, place.name)
    elif hasattr(content, "__array__"):
        # Here and now: the caller may fill the same array with the next frame.
        yield from ((place, image) for image in to_images(content, place.name, order))
    elif content is None:
        raise DataError(
            f"{place.name}: None: was the picture read? (cv2.imread gives None where it cannot read a file)"
        )
    else:
        raise DataError(f"{place.name}: nothing is known to be done with a {type(content).__name__}; {ACCEPTED}")


def _bytes_of(content: Any, name: str) -> bytes:
    if content is sys.stdin:
        if sys.stdin is None or sys.stdin.isatty():
            raise DataError("-: nothing is piped into standard input; a picture's bytes are read from there")
        content = sys.stdin.buffer
    if not hasattr(content, "read"):
        return bytes(content)
    try:
        data = content.read(MAX_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{name}: the file cannot be read ({error})") from None
    if not isinstance(data, bytes | bytearray):
        raise DataError(f"{name}: a file opened for text; open it with mode 'rb'")
    return bytes(data)


def _read_file(file: IO[bytes], place: Source, pool: ThreadPoolExecutor) -> Iterator[tuple[Source, Any]]:
    """Read an open file by its content."""
    head, name = file.read(HEAD), place.name
    file.seek(0)
    if not head:
        raise DataError(f"{name}: the file is empty (0 bytes)")
    frames = None
    if not _is_picture(head, name):
        frames = read_video(file, name)
    else:
        data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DataError(
                f"{name}: a picture of more than {MAX_BYTES:,} bytes; make it smaller, or cut it into several"
            )
        moving = _open_moving(data, name)
        frames = None if moving is None else read_frames(moving, name)
    if frames is None:
        yield place, pool.submit(decode_image, data, name, upright=True)
        return
    for number, time, image in frames:
        yield place._replace(frame=number, time=time), image


def _is_picture(head: bytes, name: str) -> bool:
    """Whether a file goes to the reader of pictures; it also says of many other files what they are.

    Raises:
        DataError: it is neither a picture nor a video.
    """
    if is_picture(head):
        return not name.lower().endswith((".mjpeg", ".mjpg"))  # JPEGs in a row
    kind = recognise(head)
    if not kind and _is_text(head):
        raise DataError(f"{name}: a text, and no picture or video")
    return kind not in ("", "a video") or (not kind and bool(PICTURE.search(name)))


def _is_text(head: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        text = head[: HEAD - 4].decode()
        return not head.startswith(b"YUV4MPEG2") and all(c.isprintable() or c in "\t\r\n\f\ufeff" for c in text)
    return False


def _open_moving(data: bytes, name: str) -> Image.Image | None:
    """A picture that has several frames or pages; None for one of one, and for what the reader of pictures refuses."""
    if data.startswith(MAY_MOVE) or data[8:12] == b"avis":
        with suppress(*DAMAGE):
            picture = open_picture(data, name)
            if count_frames_of(picture) != 1:
                return picture
    return None


def _count_in_file(path: Path, name: str) -> int | None:
    try:
        with open_file(path) as file:
            head = file.read(HEAD)
            file.seek(0)
            if not _is_picture(head, name):
                return count_frames(file, name)
            if head.startswith(MAY_MOVE):
                with suppress(*DAMAGE, Image.DecompressionBombError), Image.open(file) as picture:
                    return count_frames_of(picture)
    except UserError:
        return 0
    return 1
