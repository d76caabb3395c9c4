"""Reading XML files, whole or element by element, with errors that say what is wrong with the file."""

from __future__ import annotations

import codecs
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from hrtoolkit.data.paths import open_file, read_bytes
from hrtoolkit.data.reading import MARKS
from hrtoolkit.errors import DataError

STATED_ENCODING = re.compile(rb"""\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]+)["']""")
CHUNK = 2**18  # bytes


class _Tree(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse what annotations have no use for: a few entities can stand for gigabytes of text."""
        raise DataError("it declares a document type, which annotation files do not; remove <!DOCTYPE ...>")


def read_xml(path: Path) -> ET.Element:
    """The root of an XML file, with everything below it.

    Raises:
        DataError: there is no such file, or it is no XML; the message does not say where.
    """
    data = read_bytes(path)
    if not data.strip():
        raise DataError("the file is empty")
    parser = ET.XMLParser(target=_Tree())
    try:
        parser.feed(_decode(data))
        return parser.close()
    except ET.ParseError as error:
        raise DataError(f"not valid XML ({error})") from None


def stream_xml(path: Path, tags: Collection[str]) -> Iterator[ET.Element]:
    """The elements of these tags, wherever they stand, one at a time, so that memory stays flat.

    Args:
        path: of the file.
        tags: of the elements; all others are passed over, and one inside another comes with that one alone.

    Raises:
        DataError: there is no such file, or it is no XML.
    """
    parser: ET.XMLPullParser = ET.XMLPullParser(("start", "end"))
    ancestors: list[ET.Element] = []
    try:
        for text in _read_text(path):
            if "<!DOCTYPE" in text:
                raise DataError("it declares a document type, which annotation files do not; remove <!DOCTYPE ...>")
            parser.feed(text)
            events: Iterator[Any] = parser.read_events()  # "start" and "end", each with its element
            for event, element in events:
                if event == "start":
                    ancestors.append(element)
                    continue
                ancestors.pop()
                if ancestors and not any(one.tag in tags for one in ancestors):
                    if element.tag in tags:
                        yield element
                    ancestors[-1].remove(element)
        parser.close()
        if ancestors:
            raise DataError("it ends in the middle; copy or export it again")
    except ET.ParseError as error:
        raise DataError(f"{path}: not valid XML ({error})") from None
    except (DataError, UnicodeError) as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from None


def _read_text(path: Path) -> Iterator[str]:
    with open_file(path) as file:
        data = file.read(CHUNK)
        if not data.strip():
            raise DataError("the file is empty")
        decoder = codecs.getincrementaldecoder(_encoding(data))()
        while data:
            yield decoder.decode(data)
            data = file.read(CHUNK)


def _encoding(data: bytes) -> str:
    encoding = next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), None)
    if encoding is None:
        stated = STATED_ENCODING.match(data)
        encoding = stated[1].decode() if stated else "utf-8"
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DataError(f"it states the encoding {encoding!r}, which is not known; save it as UTF-8") from None
    return encoding


def _decode(data: bytes) -> str:
    """The text of an XML file: Expat itself knows few encodings.

    Raises:
        DataError: it is in another encoding than it states.
    """
    encoding = _encoding(data)
    try:
        return data.decode(encoding)
    except (UnicodeError, ValueError, LookupError):
        raise DataError(f"the text is not in the encoding {encoding!r}, as it should be; save it as UTF-8") from None
