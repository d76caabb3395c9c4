"""Large files by their address: resumed where a connection was cut, whole or not there at all, and fetched once.

What has come is kept beside the target as NAME.part, with what the server says of the version it is part of
(NAME.part.json); it becomes NAME when all of it is there and the hash is right.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from hrtoolkit.addresses import make_request, reason_of, without_secrets
from hrtoolkit.errors import CheckpointError
from hrtoolkit.files import explain, format_size

log = logging.getLogger(__name__)
TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 20  # as long as each of them brings something
PAUSE = 1  # seconds before the next one
BLOCK = 2**20  # bytes
PAGES = ("text/html", "application/xhtml+xml")


class NotThere(CheckpointError):
    """The server has no such file."""


class _Cut(Exception):
    """The connection ended before the file did."""


class _Part(NamedTuple):
    """A file that is not finished, and what is known of it."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def about(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def version(self, url: str) -> str:
        """What the server called the version that this is part of; "" where it is none of that address."""
        try:
            about = json.loads(self.about.read_text(encoding="utf-8"))
            return about["version"] if about["url"] == url and self.size else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def start(self, url: str, version: str) -> None:
        """Begin anew with a version of a file."""
        self.path.write_bytes(b"")
        self.about.write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)


def download(url: str, path: Path, sha256: str = "") -> Path:
    """Fetch a file unless it is there; other processes that want it wait for the first one.

    Args:
        url: http, https, ftp or file.
        path: where it goes.
        sha256: its SHA-256 in hexadecimal, or the beginning of it; "" where nobody knows it.

    Raises:
        NotThere: the server has no such file.
        CheckpointError: it could not be fetched whole, is another file, or cannot be written.
    """
    name = without_secrets(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            if not path.is_file():
                _fetch(url, name, path, sha256)
    except OSError as error:
        raise CheckpointError(f"{path}: could not be written: {explain(error, path.parent)}") from error
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0.1)
    except Timeout:
        log.info("another process is fetching %s: waiting for it", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(url: str, name: str, path: Path, sha256: str) -> None:
    part = _Part(path.with_name(f"{path.name}.part"))
    log.info("fetching %s to %s", name, path)
    for attempt in range(ATTEMPTS):
        before = part.size
        try:
            _receive(url, name, part)
            break
        except _Cut as cut:
            if part.size <= before or attempt == ATTEMPTS - 1:  # as long as something comes, it goes on
                raise CheckpointError(f"{name}: {cut}; the same command goes on from there") from None
            time.sleep(PAUSE)
    found = hash_file(part.path)
    if not found.startswith(sha256):
        part.remove()
        raise CheckpointError(
            f"{name}: the server sent another file: its SHA-256 begins with {found[: len(sha256)]}, that of the "
            f"published one with {sha256}"
        )
    part.path.replace(path)
    part.remove()


def _receive(url: str, name: str, part: _Part) -> None:
    """Receive what is missing of a file, or all of it where the server has another version or no ranges."""
    version = part.version(url)
    request = make_request(url)
    request.add_header("Accept-Encoding", "identity")
    if version:
        request.add_header("Range", f"bytes={part.size}-")
        request.add_header("If-Range", version)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and version:  # more is here than the server has
            return _receive_anew(url, name, part)
        kind = NotThere if error.code in (404, 410) else CheckpointError
        raise kind(f"{name}: the server says {error.code} ({error.reason})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CheckpointError(f"{name}: the connection failed ({reason_of(error)})") from None
    with response:
        headers = response.headers
        if headers.get_content_type() in PAGES:
            raise CheckpointError(
                f"{name}: the server sent a web page (HTML), not the file; open the address in a browser"
            )
        length = headers.get("Content-Length", "")
        tag = headers.get("ETag", "")
        # Weak tags are not for ranges.
        current = headers.get("Last-Modified", "") if tag[:2] in ("", "W/") else tag
        if response.status != 206:
            part.start(url, current)
        elif current not in ("", version) or not headers.get("Content-Range", "").startswith(f"bytes {part.size}-"):
            return _receive_anew(url, name, part)
        _save(response, part, int(length) if length.isdigit() else None)


def _receive_anew(url: str, name: str, part: _Part) -> None:
    if not part.size:
        raise CheckpointError(f"{name}: the server sent a part of the file, where all of it was asked for")
    part.remove()
    _receive(url, name, part)


def _save(response: http.client.HTTPResponse, part: _Part, rest: int | None) -> None:
    """Append what a server sends to the part, with a bar that shows how far it is."""
    start = part.size
    total = None if rest is None else start + rest
    free = shutil.disk_usage(part.path.parent).free
    if rest is not None and rest > free:
        part.remove()
        size = f"{format_size(free)} free, {format_size(rest)} needed"
        raise CheckpointError(f"{part.path}: could not be written: disk full ({size})")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress,
        part.path.open("ab") as file,
    ):
        task = progress.add_task(part.path.stem, total=total, completed=start)
        try:
            while block := response.read1(BLOCK):
                _write(file, block, part, rest)
                progress.update(task, advance=len(block))
        except (OSError, http.client.HTTPException):
            pass  # as where it just ends
    came = part.size
    if total is not None and came < total:
        raise _Cut(f"the connection was cut, {format_size(came)} of {format_size(total)} came")


def _write(file: IO[bytes], block: bytes, part: _Part, rest: int | None) -> None:
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        reason = explain(error, part.path.parent, rest)
        part.remove()  # others want the room
        raise CheckpointError(f"{part.path}: could not be written: {reason}") from error


def hash_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
