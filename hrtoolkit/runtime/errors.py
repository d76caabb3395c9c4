"""Mistakes that people can mend: tools print the message alone, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence


class UserError(Exception):
    """Something that the person at the keyboard can mend; the message says what, where, and the next move."""


class OptionError(UserError, ValueError):
    """An option that a part cannot be built with; whoever builds it from a config says where it stands."""


class DataError(UserError):
    """A dataset or one of its files is not as it should be."""

    def __init__(self, message: str):
        # A loader's worker passes an error on as the text of its traceback: keep the sentence meant for people.
        super().__init__(printable(message.rsplit("DataError: ", 1)[-1].strip()))


class CheckpointError(UserError):
    """A checkpoint or an exported model cannot be read, is not safe to read, or belongs to another model."""


def printable(text: str) -> str:
    r"""A text that every terminal and file takes: a name that is not in UTF-8 shows its bytes as `\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode()


def shorten(names: Sequence[object], most: int = 8) -> str:
    """The first few names for a message, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def suggest(name: str, known: Iterable[str]) -> str:
    """Near names as the end of a sentence; of a mapping of names, what they stand for."""
    near = difflib.get_close_matches(name, list(known))
    shown = [known[n] if isinstance(known, Mapping) else n for n in near]
    return f"; did you mean {' or '.join(map(repr, shown))}?" if near else ""
