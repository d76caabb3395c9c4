"""Files on the disk: opening what is a file and nothing else, listing folders, and near names of what is missing."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from urllib.parse import unquote

from hrtoolkit.errors import DataError

MAX_BYTES = 2**30  # of a file that is read at once


@contextmanager
def open_file(path: str | Path, what: str = "file", advice: str = "") -> Iterator[BufferedReader]:
    """Open a file to read its bytes; a pipe or a device would let the reader wait, or never end.

    Args:
        path: of the file.
        what: it is, for messages.
        advice: the next move where it is missing.

    Raises:
        DataError: it is missing, may not be read, or is no file.
    """
    if "\0" in str(path):
        raise DataError(f"{str(path)!r}: a name with a NUL in it, which no file can have")
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path}: a pipe or a device, no {what}")
            yield file
    except FileNotFoundError:
        near = near_path(path)
        raise DataError(f"{path}: no such {what}{f', but there is {near}' if near else ''}{advice}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, no {what}") from None
    except OSError as error:
        raise DataError(f"{path}: the {what} cannot be read ({error.strerror or error})") from None


def read_bytes(path: str | Path, what: str = "file", advice: str = "") -> bytes:
    """Read a whole file.

    Args:
        path: of the file.
        what: it is, for messages.
        advice: the next move where it is missing.

    Raises:
        DataError: as `open_file` does, or it has more than MAX_BYTES.
    """
    with open_file(path, what, advice) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: {size:,} bytes; the limit of {what}s is {MAX_BYTES:,}")
        return file.read()


def find_files(folder: Path) -> list[str]:
    """All files below a folder, through links too, as sorted paths from there with slashes.

    Raises:
        DataError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: the folder cannot be read ({error.strerror})") from None

    found, seen = [], set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        place = os.path.realpath(parent)
        if place in seen:  # a link leads back
            folders.clear()
            continue
        seen.add(place)
        start = Path(parent).relative_to(folder)
        found += [(start / name).as_posix() for name in names]
    return sorted(found)


def near_path(path: str | Path) -> Path | None:
    r"""A file that is there and is called nearly like this path; None where there is none.

    Near are other slashes (`\`), `%20`, other forms of the same Unicode letters, upper and lower case, another or no
    extension, and folders that are not there.
    """
    wanted = Path(str(path).replace("\\", "/"))
    *folders, last = wanted.parts[bool(wanted.anchor) :] or ("",)
    place = Path(wanted.anchor)
    try:
        for name in folders:
            place /= name if (place / name).is_dir() else _find_near(place, name, of_folder=True)
        place /= _find_near(place, last, of_folder=False)
        return place if place.is_file() else None
    except (OSError, ValueError):
        return None


def _find_near(folder: Path, name: str, of_folder: bool) -> str:
    """The entry of a folder whose name is near; "" where there is none."""
    entries = sorted(entry.name for entry in folder.iterdir())
    for key in (_spelling,) if of_folder else (_spelling, lambda text: _spelling(Path(text).stem)):
        for entry in entries:
            if key(entry) == key(name):
                return entry
    return ""


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFKC", unquote(name)).casefold().strip()


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
