"""Reading images, text, json and MATLAB files, with errors that name the file and the remedy."""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from PIL import Image

from hrtoolkit.errors import DataError

# The bytes that end a whole file; where they are missing from its tail, the slower decoder is asked.
END_MARKS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}
WHITESPACE = re.compile(r"[ \t\n\r]*")  # of json


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as RGB uint8 [H, W, 3], without turning it by its EXIF orientation (annotations do not expect it).

    Raises:
        DataError: the file is missing, is no image, or is cut short.
    """
    return decode_image(read_image_file(path), path)


def read_image_file(path: str | Path) -> bytes:
    """Read the bytes of an image file.

    Raises:
        DataError: the file is missing or may not be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such image; the annotations name it, so copy it there or correct the folder"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: the image cannot be read ({error.strerror})") from None


def decode_image(data: bytes, path: str | Path) -> np.ndarray:
    """Decode the bytes of an image file, as RGB uint8 [H, W, 3]; `path` is what errors call it.

    Raises:
        DataError: it is no image, or is cut short.
    """
    image = None
    if data:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DataError(f"{path}: not a readable image, or cut short ({len(data)} bytes); copy or download it again")
    mark = END_MARKS.get(data[:2])
    if mark is not None and mark not in data[-1024:] and _is_truncated(data):
        raise DataError(f"{path}: the image is cut short ({len(data)} bytes); copy or download it again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


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


def stream_json(path: str | Path) -> Iterator[tuple[str, Any]]:
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
        self.scan = json.JSONDecoder().scan_once
        self.text, self.position = "", 0
        self.line, self.column = 1, 1  # of the first character of `text`

    def peek(self) -> str:
        """Skip white space and look at the next character; "" at the end of the file."""
        while True:
            self.position = WHITESPACE.match(self.text, self.position).end()
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


def read_mat(path: str | Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file of version 5, some or all, by name.

    Raises:
        DataError: it is missing, damaged, or something else.
    """
    from scipy.io import loadmat  # slow to import
    from scipy.io.matlab import MatReadError

    # What SciPy raises for a damaged file depends on where it breaks.
    damage = (MatReadError, NotImplementedError, ValueError, TypeError, LookupError, OSError, EOFError, zlib.error)
    try:
        with Path(path).open("rb") as file:
            return loadmat(file, variable_names=names)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except damage as error:
        raise DataError(
            f"{path}: not a MATLAB file of version 5, or damaged ({error}); copy or download it again"
        ) from None


@contextmanager
def _open_text(path: str | Path) -> Iterator[IO[str]]:
    try:
        with Path(path).open(encoding="utf-8-sig") as file:  # some editors put a mark before the text
            if not Path(path).stat().st_size:
                raise DataError(f"{path}: the file is empty; copy or download it again")
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error})") from None


def _advance(line: int, column: int, text: str, end: int) -> tuple[int, int]:
    """Line and column at `end` of a text that begins at the given ones."""
    newlines = text.count("\n", 0, end)
    return line + newlines, end - text.rfind("\n", 0, end) if newlines else column + end


def _malformed(path: str | Path, text: str, error: json.JSONDecodeError, line: int, column: int) -> DataError:
    """Say where in the file an error is, of which the text begins at the given line and column."""
    line, column = _advance(line, column, text, error.pos)
    return DataError(f"{path}: not valid json, line {line}, column {column}: {error.msg}; copy or download it again")


def _is_truncated(data: bytes) -> bool:
    """OpenCV fills what is missing with grey and goes on; Pillow says so."""
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return True
    return False


def find_image_folder(root: Path, image_dir: str) -> Path:
    """Below the root as data sets unpack, or below its `images`, where the official HRNet code expects them."""
    older = root / "images" / image_dir
    return older if older.is_dir() and not (root / image_dir).is_dir() else root / image_dir
