"""Lists of images and their classes: one rule for what is a number, what is a name, and what is neither."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hrtoolkit.data.reading import read_lines
from hrtoolkit.errors import shorten
from hrtoolkit.findings import Findings, Level
from hrtoolkit.schemes import ClassScheme, resolve_scheme

FILE_HEADERS = {"path", "image", "file", "filename", "image_id", "image_path", "image_name", "id", "img"}
CLASS_HEADERS = {"class", "label", "category", "target", "class_id", "label_id", "class_name"}
WHOLE = re.compile(r"[+-]?\d{1,9}")
NUMERIC = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
MOST_NUMBERED = 1_000_000  # classes without names: a number beyond is no class


class Entry(NamedTuple):
    """A line of a list."""

    file: str
    text: str  # of its class
    line: int


class Labels(NamedTuple):
    """The classes of N entries."""

    scheme: ClassScheme
    labels: list[int]  # [N] from 0; -1 for what is no class
    expected: str  # what the text of a class should be


def read_list(path: Path, level: Level, findings: Findings) -> list[Entry]:
    """Read an image and its class from each line; lines that have no such are found, and left out.

    Args:
        path: of the list.
        level: of such lines.
        findings: of the list.

    Raises:
        DataError: the list is missing, empty or no text.
    """
    lines, entries, faulty = read_lines(path), [], []
    rows: Iterable[list[str]] = (line.strip().rsplit("\t" if "\t" in line.strip() else None, 1) for _, line in lines)
    if path.suffix == ".csv":
        rows = csv.reader(line for _, line in lines)
    for (number, _), row in zip(lines, rows, strict=False):  # a field of several lines is no name of a file
        fields = [field.strip() for field in row]
        if number == 1 and _is_header(*map(str.lower, fields)):
            continue
        if len(fields) < 2 or not all(fields[:2]):
            faulty.append(f"line {number}: {', '.join(fields)!r}")
        else:
            entries.append(Entry(fields[0], fields[1], number))
    findings.add(level, "lines without an image and its class", faulty, remedy(level, "complete the lines"))
    return entries


def _is_header(first: str, second: str = "", *_: str) -> bool:
    return first in FILE_HEADERS or (second in CLASS_HEADERS and "." not in first)


def remedy(level: Level, stop: str) -> str:
    """What follows from faulty lines, where they stop a run and where they do not."""
    return f'{stop}, or leave them out by the dataset\'s faults="drop"' if level == "stop" else "they are left out"


def label_classes(texts: Sequence[str], scheme: ClassScheme | None) -> Labels:
    """Turn the texts of a list into classes.

    Names are names first. Otherwise a list has whole numbers, which count the classes from 0, or names, by what most of
    it has; 0.0 is neither.

    Args:
        texts: of all entries.
        scheme: the classes; None takes them from the list.
    """
    if scheme is not None and not scheme.numbered:
        place = {name: i for i, name in enumerate(scheme.names)}
        counted = all(map(WHOLE.fullmatch, texts)) and not any(map(NUMERIC.fullmatch, scheme.names))
        if not counted:
            return Labels(scheme, [place.get(text, -1) for text in texts], f"one of {shorten(scheme.names)}")
    named = [text for text in texts if not NUMERIC.fullmatch(text)]
    numbers = [int(text) if WHOLE.fullmatch(text) else -1 for text in texts]
    if len(named) > sum(number >= 0 for number in numbers):
        scheme = name_classes(named, scheme)
        place = {name: i for i, name in enumerate(scheme.names)}
        return Labels(scheme, [place.get(text, -1) for text in texts], f"one of {shorten(scheme.names)}")
    limit = MOST_NUMBERED if scheme is None else len(scheme.names)
    labels = [number if 0 <= number < limit else -1 for number in numbers]
    scheme = scheme or resolve_scheme(max(*labels, 0) + 1, ClassScheme)
    return Labels(scheme, labels, f"a whole number from 0 to {len(scheme.names) - 1}")


def name_classes(names: Sequence[str], numbered: ClassScheme | None) -> ClassScheme:
    """The classes of data that have names, where a network may only know their number.

    Some of ImageNet's folders (n01440764 ...) keep the places that they have among all 1000.

    Args:
        names: in the data, in any order.
        numbered: of the network.
    """
    if numbered is not None and len(numbered.names) == 1000 and set(names) <= set(imagenet().names):
        return imagenet()
    return ClassScheme(tuple(sorted(set(names))))


@functools.cache
def imagenet() -> ClassScheme:
    """The folders of ImageNet-1k, in the order of its labels."""
    from timm.data import ImageNetInfo  # slow to import

    return ClassScheme(ImageNetInfo().label_names())
