"""Files that are whole at every moment."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hrtoolkit.errors import UserError


@contextmanager
def write_atomically(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a file beside `path` for writing and rename it when all is on disk.

    A kill or a full disk leaves the previous file as it was; the unfinished one is removed where that is possible.

    Args:
        path: of the file to make or replace; its folder is made if needed.
        mode: "w" for text in UTF-8, "wb" for bytes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def place_inside(folder: str | Path, name: str) -> Path:
    """The path below a folder of a file that data name: nothing that is written by such a name leaves the folder.

    Args:
        folder: of results.
        name: such as an image's; it may lie in folders of its own.

    Raises:
        UserError: the name is absolute, or leads out of the folder by "..", a link, or a byte that no name has.
    """
    path, below = Path(folder, name), Path(os.path.normpath(name))
    leads_out = below.is_absolute() or below.parts[:1] in ((), ("..",)) or "\0" in name
    if leads_out or not path.parent.resolve().is_relative_to(Path(folder).resolve()):
        raise UserError(f"{name!r} leads out of {folder}: a file of this name is not written; correct it in the data")
    return path


def expand_path(path: str | Path) -> str:
    """A path with `~` and environment variables in it written out.

    Raises:
        UserError: there is no such variable or home folder.
    """
    text = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 (addresses are no paths, and stay as they are)
    unknown = re.search(r"\$\{?[A-Za-z_]\w*\}?|^~\w*", text)
    if unknown and not os.path.exists(text):  # noqa: PTH110
        what = "home folder" if unknown[0].startswith("~") else "environment variable"
        raise UserError(f"{path}: there is no {what} {unknown[0]}; write the path out")
    return text


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left behind in a folder while they were in `write_atomically`."""
    for path in folder.glob(".*.unfinished"):
        path.unlink(missing_ok=True)


def check_writable(path: str | Path, folder: bool = False) -> None:
    """Make sure, before hours of work, that a file can be written there; its folder is made if needed.

    Args:
        path: of the file.
        folder: it is a folder, into which files go.

    Raises:
        UserError: it cannot.
    """
    path = Path(path)
    parent = path if folder else path.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=parent):
            pass
        if path.is_dir() and not folder:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another place") from error
