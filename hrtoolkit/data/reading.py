"""Reading text and json files, with errors that name the file and the remedy."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hrtoolkit.data.paths import open_file
from hrtoolkit.errors import DataError

# The marks by which a text names its encoding; UTF-32's begins like UTF-16's.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MAX_CELL = 2**24  # characters; an image may stand in a cell
WHITESPACE = re.compile(r"[ \t\n\r]*")  # of json


def read_json(path: str | Path) -> Any:
    """Read a json file.

    Raises:
        DataError: the file is missing, empty or malformed; the message tells line and column.
    """
    with _open_text(path) as file:
        text = file.read()
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise _malformed(path, text, error, 1, 1) from None
        except (RecursionError, ValueError) as error:
            raise _unfit(path, error) from None


def stream_json(path: str | Path, opened: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """Read a json file piece by piece, as large annotation files need: no more than a window of it is in memory.

    The file holds an object, of which each member comes as (name, value), and one that is an array element by element
    as (name, element); or it holds an array, whose elements come with the name "".

    Raises:
        DataError: as for `read_json`, when the reading gets there.
    """
    with _open_text(path) as file:
        window = _JsonWindow(file, path)
        opening = window.peek()
        if opening == "{":
            for _ in window.items("}"):
                name = window.decode()
                window.take(":")
                if window.peek() == "[":
                    yield from ((name, window.decode()) for _ in window.items("]"))
                elif name in opened and window.peek() == "{":
                    for _ in window.items("}"):
                        inner = window.decode()
                        window.take(":")
                        yield name, (inner, window.decode())
                else:
                    yield name, window.decode()
        elif opening == "[":
            yield from (("", window.decode()) for _ in window.items("]"))
        else:
            yield "", window.decode()
        window.take("")


class _JsonWindow:
    """The part of a json text that is being decoded; it grows where a value is longer than the window."""

    SIZE = 2**20  # characters

    def __init__(self, file: IO[str], path: str | Path):
        self.file, self.path = file, path
        decoder: Any = json.JSONDecoder()
        self.scan = decoder.scan_once
        self.text, self.position = "", 0
        self.line, self.column = 1, 1  # of the first character of `text`

    def peek(self) -> str:
        """Skip white space and look at the next character; "" at the end of the file."""
        while True:
            white = WHITESPACE.match(self.text, self.position)
            self.position = white.end() if white else self.position
            if self.position < len(self.text) or not self._read_on():
                return self.text[self.position : self.position + 1]

    def take(self, character: str) -> None:
        """Skip the next character, which must be this one."""
        if self.peek() != character:
            expected = f"Expecting {character!r} delimiter" if character else "Extra data"
            raise self._error(json.JSONDecodeError(expected, self.text, self.position))
        self.position += len(character)

    def items(self, closing: str) -> Iterator[None]:
        """Stop before each item of an array or object, up to and with its closing bracket."""
        self.position += 1
        if self.peek() != closing:
            yield
            while self.peek() == ",":
                self.position += 1
                yield
        self.take(closing)

    def decode(self) -> Any:
        """Decode the next value."""
        self.peek()
        while True:
            try:
                value, end = self.scan(self.text, self.position)
            except (json.JSONDecodeError, StopIteration) as error:  # malformed, or the value goes on after the window
                if self._read_on():
                    continue
                if isinstance(error, StopIteration):
                    error = json.JSONDecodeError("Expecting value", self.text, error.value)
                raise self._error(error) from None
            except (RecursionError, ValueError) as error:
                raise _unfit(self.path, error) from None
            # A number that ends with the window may go on as well.
            if end < len(self.text) or not self._read_on():
                self.position = end
                return value

    def _read_on(self) -> bool:
        """Drop what is decoded and read as much again as is left, at least a window; False at the end of the file."""
        chunk = self.file.read(max(self.SIZE, len(self.text) - self.position))
        if not chunk:
            return False
        self.line, self.column = _advance(self.line, self.column, self.text, self.position)
        self.text, self.position = self.text[self.position :] + chunk, 0
        return True

    def _error(self, error: json.JSONDecodeError) -> DataError:
        return _malformed(self.path, self.text, error, self.line, self.column)


def read_lines(path: str | Path) -> list[tuple[int, str]]:
    """Lines of a text file with their numbers, from 1, without blank ones.

    Raises:
        DataError: it is missing, empty, or no text.
    """
    with _open_text(path) as file:
        lines = [(number, line) for number, line in enumerate(file.read().splitlines(), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: the file is empty; copy or download it again")
    return lines


def stream_csv(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table with the number of the line that each ends on, without blank ones.

    Cells are separated by what the first line has most of: commas, semicolons or tabs.

    Raises:
        DataError: it is missing, empty, no text, or no table.
    """
    with _open_text(path) as file:
        first = file.readline()
        file.seek(0)
        csv.field_size_limit(MAX_CELL)
        rows = csv.reader(file, delimiter=max(",;\t", key=first.count))
        try:
            yield from ((rows.line_num, row) for row in rows if any(cell.strip() for cell in row))
        except csv.Error as error:
            raise DataError(f"{path}: line {rows.line_num} is no row of a table ({error}); export it again") from None


@contextmanager
def _open_text(path: str | Path) -> Iterator[IO[str]]:
    """Open a text in UTF-8, or in what the mark says that some editors put before it."""
    with open_file(path) as file:
        start = file.peek(4)
        if not start:
            raise DataError(f"{path}: the file is empty; copy or download it again")
        encoding = next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8")
        try:
            yield io.TextIOWrapper(file, encoding)
        except UnicodeError as error:
            raise DataError(
                f"{path}: not a text file in {encoding.removesuffix('-sig').upper()} ({error}); save it as UTF-8"
            ) from None


def _advance(line: int, column: int, text: str, end: int) -> tuple[int, int]:
    """Line and column at `end` of a text that begins at the given ones."""
    newlines = text.count("\n", 0, end)
    return line + newlines, end - text.rfind("\n", 0, end) if newlines else column + end


def _malformed(path: str | Path, text: str, error: json.JSONDecodeError, line: int, column: int) -> DataError:
    """Say where in the file an error is, of which the text begins at the given line and column."""
    line, column = _advance(line, column, text, error.pos)
    return DataError(f"{path}: not valid json, line {line}, column {column}: {error.msg}; copy or download it again")


def _unfit(path: str | Path, error: Exception) -> DataError:
    """Valid json that Python cannot hold."""
    what = "is nested too deeply" if isinstance(error, RecursionError) else f"cannot be read ({error})"
    return DataError(f"{path}: the json {what}; write it as the annotation format says")


def find_image_folder(root: Path, image_dir: str) -> Path:
    """Below the root as data sets unpack, or below its `images`, where the official HRNet code expects them."""
    older = root / "images" / image_dir
    return older if older.is_dir() and not (root / image_dir).is_dir() else root / image_dir
