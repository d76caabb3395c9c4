"""Numbers of annotation files, and records that are not as their format has them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hrtoolkit.importers.source import Source


def number(value: Any) -> float:
    """A finite number; a text that spells one is none, since it is a sign of another format.

    Raises:
        ValueError: it is something else.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} where a number belongs")
    return float(value)


def spelled(text: str | None) -> float:
    """The finite number that a text spells, as in csv and XML.

    Raises:
        ValueError: it spells none.
    """
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r:.40} where a number belongs")
    return value


@contextmanager
def read_record(source: Source, where: str, what: str = "records") -> Iterator[None]:
    """Tell the source about a record that cannot be read as its format is documented, instead of failing at the first.

    Args:
        source: that is told.
        where: file and record.
        what: the records are called.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        source.fault(f"{what} that are not as the format has them", f"{where}: {reason}", "correct them")
