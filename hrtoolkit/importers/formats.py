"""Annotation formats by name: how a file of each is recognised, and the function that reads it.

A new format is one function:

    @register_format("mytool", title="MyTool's json", suffixes=(".json",), mark=r'"mytool_version"')
    def read_mytool(source: Source) -> Iterator[Picture]:
        for file in source.files:
            ...
            yield Picture(name, instances, source.find_image(name, file.parent))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hrtoolkit.data.paths import open_file
from hrtoolkit.errors import DataError, UserError, shorten, suggest
from hrtoolkit.importers.annotated import Picture
from hrtoolkit.importers.source import Source, is_image

HEAD = 2**16  # bytes of a file by which it is recognised
Read = Callable[[Source], Iterator[Picture]]


class Format(NamedTuple):
    """An annotation format."""

    name: str
    title: str  # what messages call it
    suffixes: tuple[str, ...]  # of its files
    mark: re.Pattern[bytes]  # is found in the first HEAD bytes of its files
    read: Read


FORMATS: dict[str, Format] = {}


def register_format(name: str, *, title: str, suffixes: tuple[str, ...], mark: str) -> Callable[[Read], Read]:
    """Register the function under it as the reader of a format; formats that come first are asked for first.

    Args:
        name: for `--format`.
        title: what messages call it.
        suffixes: of its annotation files.
        mark: a regular expression that is found in the first bytes of its files and of no other format's.
    """

    def register(read: Read) -> Read:
        FORMATS[name] = Format(name, title, suffixes, re.compile(mark.encode(), re.DOTALL), read)
        return read

    return register


def get_format(name: str) -> Format:
    """The format of a name.

    Raises:
        UserError: there is none.
    """
    if name not in FORMATS:
        near = suggest(name, FORMATS.keys()) or f"; there are {', '.join(FORMATS)}"
        raise UserError(f"no format is called {name!r}{near}")
    return FORMATS[name]


def recognise(path: Path, first: Format | None = None) -> Format | None:
    """The format of an annotation file, by its suffix and how it begins; None where nobody knows.

    Args:
        path: of the file.
        first: format that is asked before the others.
    """
    suffix = path.suffix.lower()
    fitting = [one for one in (first, *FORMATS.values()) if one is not None and suffix in one.suffixes]
    if not fitting:
        return None
    with open_file(path) as file:
        head = file.read(HEAD)
    return next((one for one in fitting if one.mark.search(head)), None)


def find_format(source: Source, name: str | None = None) -> Format:
    """Choose the format of an export, and give the source its annotation files.

    Of several formats in one folder the one that is registered first is read, and the others are noted.

    Args:
        source: gets `files`.
        name: of the format, where the caller knows it.

    Raises:
        DataError: no file is of a known format, or of this one.
    """
    wanted = None if name is None else get_format(name)
    if source.path.is_file():
        found = wanted or recognise(source.path)
        if found is None:
            raise DataError(_unknown(source.path, [source.path]))
        source.files = [source.path]
        return found
    files: dict[str, list[Path]] = {}
    others = []
    for below in source.list_files(source.folder):
        if is_image(below):
            continue
        path = source.folder / below
        one = recognise(path, wanted)
        if one is None:
            others.append(path)
        else:
            files.setdefault(one.name, []).append(path)
    if wanted is not None and wanted.name not in files:
        # A mark is how one is told from others; whoever names the format has done that.
        everything = sorted(others + [path for paths in files.values() for path in paths])
        files = {wanted.name: [path for path in everything if path.suffix.lower() in wanted.suffixes]}
    found = wanted or next((one for one in FORMATS.values() if one.name in files), None)
    if found is None or not files[found.name]:
        raise DataError(_unknown(source.path, others, wanted))
    for other in files.keys() - {found.name}:
        remedy = f"they are left out; --format {other} reads them instead"
        for path in files[other]:
            source.note(f"files in {FORMATS[other].title} beside {found.title}", str(path.name), remedy)
    source.files = files[found.name]
    return found


def _unknown(path: Path, files: list[Path], wanted: Format | None = None) -> str:
    zips = [file for file in files if file.suffix.lower() in (".zip", ".tar", ".gz", ".rar", ".7z")]
    if zips:
        return f"{zips[0]}: an archive; unpack it, and import its folder"
    what = "annotation file of a known format" if wanted is None else f"file in {wanted.title}"
    seen = f" among {shorten([file.name for file in files])}" if files else "; it has no files but images"
    known = "" if wanted else f". Known are {', '.join(FORMATS)}; --format NAME says which it is"
    return f"{path}: no {what}{seen}{known}"
