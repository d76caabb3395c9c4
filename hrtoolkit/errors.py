"""Mistakes that people can mend: tools print the message alone, without a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from hrtoolkit.runtime.errors import CheckpointError, DataError, OptionError, UserError, printable, shorten, suggest

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Moved",
    "OptionError",
    "TrainingError",
    "TrainingStopped",
    "UserError",
    "printable",
    "shorten",
    "suggest",
]

# Arguments of earlier versions: what to write instead, or a function that says it of the value.
Moved = Mapping[str, str | Callable[[object], str]]


class ConfigError(UserError, ValueError):
    """A config that cannot be used, with all its problems at once.

    Args:
        source: the config's file, or another name for it.
        problems: one line each.
    """

    def __init__(self, source: str | Path, problems: Iterable[str]):
        self.source = source
        self.problems = list(problems)
        count = f"{len(self.problems)} problem" + "s" * (len(self.problems) != 1)
        super().__init__("\n  ".join([f"{source}: {count}", *self.problems]))


class TrainingError(UserError):
    """Training cannot go on."""


class TrainingStopped(UserError):
    """Training was asked to stop, saved its state, and can be resumed."""
