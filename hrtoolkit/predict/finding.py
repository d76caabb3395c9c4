"""The files that a name stands for: a folder, a pattern, a list of paths, a file, an address.

Names are asked for with os.path: it says False where pathlib raises, of names too long or in closed folders.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hrtoolkit.addresses import scheme_of, without_secrets
from hrtoolkit.data.listing import is_system_file
from hrtoolkit.data.paths import near_path
from hrtoolkit.errors import DataError, shorten
from hrtoolkit.predict.live import is_live
from hrtoolkit.runtime.sources import PICTURE, VIDEO, natural

logger = logging.getLogger(__name__)
TABLES = {".csv", ".tsv", ".json", ".jsonl", ".xls", ".xlsx", ".yaml", ".yml", ".parquet"}
SEQUENCE = re.compile(r"%0?(\d*)d")
Entry = tuple[str, str | None, Any]  # name, path, and what is there: a Path, an Address, standard input or an error


class Address(str):
    """An address of the web, not a path."""


def printable(name: str) -> str:
    r"""The name with bytes that are no UTF-8 written out (caf\xe9.png), so that it can be printed and stored."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def find_paths(source: str | os.PathLike, recursive: bool, tell: bool, inside: bool) -> Iterator[Entry]:
    """Find what a name stands for, in order; errors come in its place.

    What exists under the very name comes before any pattern.

    Args:
        source: path, pattern, address or "-".
        recursive: read folders inside folders.
        tell: log what is left out.
        inside: the name stands in a list.
    """
    text = os.fspath(source)
    text = os.fsdecode(text)
    if isinstance(source, str):
        if text == "-":
            yield "-", None, sys.stdin
            return
        scheme = scheme_of(text)
        if scheme in ("http", "https"):
            yield without_secrets(text), None, Address(text)
            return
        if inside and is_live(text) and not os.path.lexists(text):
            yield _failed(without_secrets(text), "a camera or stream is a source by itself, not one of a list")
            return
        if scheme == "file":
            text = unquote(urlsplit(text).path)
        elif scheme:
            yield _failed(without_secrets(text), f"addresses of {scheme} are not read; download it and give the file")
            return
    yield from _find_path(text, isinstance(source, str), recursive, tell)


def _find_path(text: str, may_be_pattern: bool, recursive: bool, tell: bool) -> Iterator[Entry]:
    name, suffix = printable(text), os.path.splitext(text)[1].lower()
    if text.startswith("~") and not os.path.lexists(text):
        text = os.path.expanduser(text)
    if os.path.isdir(text):
        yield from _find_in_folder(text, recursive, tell)
    elif os.path.lexists(text) or not text:
        if suffix == ".txt":
            yield from _find_in_list(text, recursive, tell)
        elif suffix in TABLES:
            yield _failed(name, "a table; lists are read from a text file (.txt) with one path a line")
        else:
            yield _entry(name, text)
    elif may_be_pattern and SEQUENCE.search(os.path.basename(text)):
        yield from _find_sequence(text, tell)
    elif may_be_pattern and glob.has_magic(text):
        yield from _find_by_pattern(text, recursive, tell)
    else:
        yield _entry(name, text)


def _entry(name: str, path: str) -> Entry:
    """A file, or what keeps it from being one."""
    if not path.strip():
        return _failed(repr(path), "an empty name")
    try:
        os.stat(path)
        return name, path, Path(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        pass
    except OSError as error:
        return name, path, DataError(f"{name}: cannot be read ({error.strerror})")
    if os.path.islink(path):
        return name, path, DataError(f"{name}: a link to {printable(os.readlink(path))}, which is not there")
    near = near_path(path)
    advice = f", but there is {printable(str(near))}" if near else ""
    return name, path, DataError(f"{name}: no such file or folder{advice}")


def _failed(name: str, reason: str) -> Entry:
    return name, None, DataError(f"{name}: {reason}")


def _find_in_folder(folder: str, recursive: bool, tell: bool) -> Iterator[Entry]:
    left_out: Counter[str] = Counter()
    found = False
    for entry in _walk(folder, "", recursive, left_out, set()):
        found = True
        yield entry
    name = printable(folder)
    folders, others = left_out.pop("/", 0), left_out.total()
    kinds = shorten([f"{number} {suffix}" for suffix, number in left_out.most_common()], 5)
    if not found:
        inside = f", but {folders} folders inside it, which `recursive` reads" if folders else ""
        there = f"; there are {kinds}" if others else ""
        yield _failed(name, f"no pictures or videos in this folder (.jpg, .png, .mp4 and others){inside}{there}")
    elif tell and folders:
        logger.warning("%s: %d subfolders are left out; `recursive` reads them too", name, folders)
    if found and tell and others:
        logger.info("%s: %d files that are no pictures or videos are left out (%s)", name, others, kinds)


def _walk(folder: str, start: str, recursive: bool, left_out: Counter[str], seen: set[str]) -> Iterator[Entry]:
    """Entries of a folder in natural order, files before folders; each folder once, however links go."""
    place = os.path.realpath(folder)
    if place in seen:
        return
    seen.add(place)
    try:
        names = sorted(os.listdir(folder), key=natural)
    except OSError as error:
        yield _failed(printable(start.rstrip("/") or folder), f"the folder cannot be read ({error.strerror})")
        return
    folders = []
    for name in names:
        path = os.path.join(folder, name)
        if name.startswith(".") or is_system_file(name):
            continue
        if os.path.isdir(path):
            folders.append(name)
        elif _looks_right(path):
            yield _entry(printable(start + name), path)
        else:
            left_out[os.path.splitext(name)[1].lower() or "without a suffix"] += 1
    if recursive:
        for name in folders:
            yield from _walk(os.path.join(folder, name), f"{start}{name}/", recursive, left_out, seen)
    elif folders:
        left_out["/"] = len(folders)


def _looks_right(path: str) -> bool:
    """Whether a file in a folder is meant to be read, by its suffix."""
    right = PICTURE.search(path) or VIDEO.search(path)
    return bool(right) and (os.path.isfile(path) or not os.path.exists(path))  # a dead link is told


def _find_by_pattern(pattern: str, recursive: bool, tell: bool) -> Iterator[Entry]:
    parts = Path(pattern).parts
    steady = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    base = os.path.join(*parts[:steady]) if steady else ""
    last = os.path.splitext(parts[-1])[1]
    takes_all = bool(last) and not glob.has_magic(last)
    seen: set[str] = set()
    found = False
    for path in sorted(glob.iglob(pattern, recursive=True), key=natural):
        name = os.path.relpath(path, base) if base else path
        if is_system_file(name):
            continue
        if os.path.isdir(path):
            entries = [] if "**" in parts else _walk(path, f"{name}/", recursive, Counter(), seen)
        else:
            place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
            fits = place not in seen and (takes_all or _looks_right(path))
            seen.add(place)
            entries = [_entry(printable(name), path)] if fits else []
        for entry in entries:
            found = True
            yield entry
    if not found:
        yield _failed(printable(pattern), "no pictures or videos match this pattern")


def _find_sequence(pattern: str, tell: bool) -> Iterator[Entry]:
    """Files of a pattern like frame_%04d.png, in the order of their numbers, whatever the first is."""
    folder, name = os.path.split(pattern)
    before, width, after = re.split(SEQUENCE, name, maxsplit=1)
    digits = f"[0-9]{{{width},}}" if width else "[0-9]+"
    shape = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    try:
        names = os.listdir(folder or ".")
    except OSError:
        names = []
    numbers = sorted((int(match[1]), match[0]) for match in map(shape.fullmatch, names) if match)
    if not numbers:
        yield _failed(printable(pattern), "no such files; give the folder, or a pattern like *.png")
    gaps = sorted(set(range(numbers[0][0], numbers[-1][0])) - {number for number, _ in numbers}) if numbers else []
    if gaps and tell:
        logger.warning("%s: %d numbers are missing (%s)", printable(pattern), len(gaps), shorten(gaps))
    for _, one in numbers:
        yield _entry(printable(one), os.path.join(folder, one))


def _find_in_list(path: str, recursive: bool, tell: bool) -> Iterator[Entry]:
    """Files named by the lines of a text file, sought from its folder, then from the current one."""
    folder, found = os.path.dirname(path), False
    try:
        lines = _read_lines(path)
    except OSError as error:
        yield _failed(printable(path), f"cannot be read ({error.strerror})")
        return
    for line in lines:
        found = True
        if scheme_of(line):
            yield from find_paths(line, recursive, tell, inside=True)
            continue
        beside = os.path.join(folder, line)
        there = next((one for one in (beside, line) if os.path.lexists(one)), None)
        if there is None:
            yield printable(line), line, DataError(f"{printable(line)}: no such file; {printable(path)} names it")
        elif os.path.isdir(there):
            yield from _find_in_folder(there, recursive, tell)
        else:
            yield _entry(printable(line), there)
    if not found:
        yield _failed(printable(path), "a list without a path; it has one path a line")


def _read_lines(path: str) -> Iterable[str]:
    """Lines without those that are blank or a remark (#)."""
    data = Path(path).read_bytes()
    if b"\0" in data[:4096] and data[:1] not in (b"\xff", b"\xfe"):
        raise OSError(0, "no text")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # what a Windows shell writes
        text = data.decode("utf-16", "replace")
    else:
        text = os.fsdecode(data.removeprefix(b"\xef\xbb\xbf"))
    lines = re.split("\r\n|\n|\r", text)
    near = [line if os.path.lexists(os.path.join(os.path.dirname(path), line)) else line.strip() for line in lines]
    return [line for line in near if line and (not line.startswith("#") or os.path.lexists(line))]
