"""Files that are whole at every moment, and folders that one run has to itself."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hrtoolkit.errors import UserError

log = logging.getLogger(__name__)
FULL = (errno.ENOSPC, errno.EDQUOT)
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"  # of a folder that holds a model
EXPORT_FILES = ("preprocess.json", "joint.json")  # of a folder that holds an export, of one branch or of several
CHECKPOINTS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".tar")  # suffixes


@contextmanager
def write_atomically(path: str | os.PathLike[str], mode: str = "w", size: int | None = None) -> Iterator[IO]:
    """Open a file beside `path` for writing and rename it when all is on disk.

    A kill or a full disk leaves the previous file as it was; the unfinished one is removed where that is possible.

    Args:
        path: of the file to make or replace; its folder is made if needed.
        mode: "w" for text in UTF-8, "wb" for bytes.
        size: bytes that it takes, where that is known; an error names it.

    Raises:
        UserError: the system does not let it be written.
    """
    path = Path(path)
    # Cut, because names end at 255 bytes.
    unfinished = path.with_name(f".{path.name[:50]}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open(mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
    # Libraries hide the system's error behind one of their own: torch's says "unexpected pos".
    except (OSError, RuntimeError) as error:
        cause = find_system_error(error)
        if cause is None:
            raise
        raise not_written(path, cause, size) from error


def not_written(path: Path, error: OSError, size: int | None = None) -> UserError:
    """The error that says why a file could not be written; see `explain`."""
    return UserError(f"{path}: could not be written: {explain(error, path.parent, size)}")


def find_system_error(error: BaseException | None) -> OSError | None:
    """The system's error that another one was raised in answer to, or is."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def explain(error: OSError, folder: Path, size: int | None = None) -> str:
    """Say in words why something could not be written.

    Args:
        error: the system's.
        folder: where it was to be.
        size: bytes that it takes, where that is known.
    """
    if isinstance(error, FileExistsError):  # of mkdir
        return f"{error.filename} is a file, not a folder"
    if error.errno not in FULL:
        return error.strerror or str(error)
    what = "disk full" if error.errno == errno.ENOSPC else "disk quota used up"
    with suppress(OSError):
        system = os.statvfs(folder)
        if system.f_files and not system.f_favail:
            return f"{what} (no inodes left)"
        free = format_size(shutil.disk_usage(folder).free)
        return f"{what} ({free} free{'' if size is None else f', {format_size(size)} needed'})"
    return what


def format_size(count: float) -> str:
    """Say a number of bytes in the unit that suits it: 512 B, 3.4 MB, 120 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


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
        with suppress(OSError):
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
        with tempfile.TemporaryFile(dir=parent):  # that fits on a full disk, which may have room again by then
            pass
        if not folder:
            with suppress(FileNotFoundError):  # too long a name shows here
                if stat.S_ISDIR(path.lstat().st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({explain(error, parent)}); name another place") from error


class FolderLock:
    """Keeps a folder to one run: while a process holds the lock, others are refused; when it dies, it holds nothing.

    Args:
        folder: in which a run writes.

    Raises:
        UserError: another process holds it.
    """

    def __init__(self, folder: Path):
        self.path = folder / "running"
        while not self._take():  # its holder removed the file between opening and locking
            pass

    def _take(self) -> bool:
        self.file = self.path.open("a+b", buffering=0)
        try:
            import fcntl  # Windows has none

            # A lock of this process: one of `flock` would stay with forked processes that outlive it.
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self.file.seek(0)
            holder = self.file.read().decode(errors="replace").strip()
            raise UserError(
                f"{self.path.parent}: another run{f' ({holder})' if holder else ''} is writing into this folder; wait "
                "until it ends, or name another folder with --work-dir"
            ) from None
        except (OSError, ImportError) as error:
            log.warning("%s: no lock (%s): nothing stops a second run in this folder", self.path, error)
        if not self.path.exists() or not os.path.samestat(os.fstat(self.file.fileno()), self.path.stat()):
            self.file.close()
            return False
        with suppress(OSError):  # a full disk has no room for it
            self.file.truncate(0)
            self.file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return True

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.file.close()


def shipped_configs() -> Path:
    """The folder of the shipped configs: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    return next((p / "configs" for p in (package, package.parent) if (p / "configs").is_dir()), Path("configs"))


def list_shipped() -> dict[str, Path]:
    """The files of the shipped configs by their names, such as "pose/hrnet_w32_coco"."""
    folder = shipped_configs()
    files = [file for file in sorted(folder.rglob("*.py")) if file.name != "__init__.py"]
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def is_checkpoint(path: object) -> bool:
    """Whether a path is by its suffix that of weights, and not of a config, or a folder that holds a model."""
    # os.path never raises for odd names.
    return isinstance(path, (str, os.PathLike)) and (
        Path(path).suffix in CHECKPOINTS or os.path.isfile(Path(path, CONFIG_FILE))  # noqa: PTH113
    )


def is_exported(path: object) -> bool:
    """Whether a path is a folder that `hrtoolkit export` wrote."""
    # os.path never raises for odd names.
    return isinstance(path, str | Path) and any(
        os.path.isfile(os.path.join(expand_path(path), name))  # noqa: PTH113, PTH118
        for name in EXPORT_FILES
    )
