"""Mistakes that people can mend: tools print the message alone, without a traceback."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Something that the person at the keyboard can mend; the message says what, where, and the next move."""


class DataError(UserError):
    """A dataset or one of its files is not as it should be."""

    def __init__(self, message: str):
        # A loader's worker passes an error on as the text of its traceback: keep the sentence meant for people.
        super().__init__(message.rsplit("DataError: ", 1)[-1].strip())


class CheckpointError(UserError):
    """A checkpoint cannot be read, is not safe to read, or belongs to another model."""


class TrainingError(UserError):
    """Training cannot go on."""


class TrainingStopped(UserError):
    """Training was asked to stop, saved its state, and can be resumed."""


def shorten(names: Sequence[str], most: int = 8) -> str:
    """The first few names for a message, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
