"""What is wrong with the files of a data set, collected while they are read and checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hrtoolkit.errors import DataError, printable

SHOWN_IDS = 10
Level = Literal["stop", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one place.

    Args:
        level: "stop" keeps training from starting; a "warning" is most likely a fault; a "note" is good to know.
        where: the file or folder.
        what: the fault, of many records at once.
        ids: the first records that have it.
        count: how many have it; 0 where it is not a matter of records.
        remedy: what follows from it, and the next move.
    """

    level: Level
    where: str
    what: str
    ids: tuple
    count: int
    remedy: str

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.ids) else ""
        records = f": {self.count} ({', '.join(map(str, self.ids))}{more})" if self.count else ""
        return printable(f"{self.level}: {self.where}: {self.what}{records}; {self.remedy}")


class Findings(list[Finding]):
    """The findings of one file, collected while it is read and checked.

    Args:
        where: the file or folder.
    """

    def __init__(self, where: str | os.PathLike):
        super().__init__()
        self.where = str(where)

    def add(self, level: Level, what: str, ids: Sequence | np.ndarray, remedy: str) -> None:
        """Note a fault of the records with these ids; without any there is none."""
        if len(ids):
            first = ids[:SHOWN_IDS].tolist() if isinstance(ids, np.ndarray) else ids[:SHOWN_IDS]
            self.append(Finding(level, self.where, what, tuple(first), len(ids), remedy))

    def stops(self) -> list[Finding]:
        """Those that keep training from starting."""
        return [finding for finding in self if finding.level == "stop"]

    def raise_stops(self) -> None:
        """Raise one DataError with everything that keeps training from starting."""
        stops = [str(finding).removeprefix("stop: ") for finding in self.stops()]
        if stops:
            raise DataError("\n".join(stops))
