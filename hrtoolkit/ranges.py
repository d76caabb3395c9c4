"""Ranges of numbers, as annotations: they tell a reader what an argument may be, and configs are checked by them."""

from __future__ import annotations

from typing import Annotated, NamedTuple


class Range(NamedTuple):
    """What a number may be.

    Args:
        text: for messages.
        least: the smallest.
        most: the largest.
        above: `least` itself is too small.
    """

    text: str
    least: float
    most: float = float("inf")
    above: bool = False

    def holds(self, number: float) -> bool:
        """Whether a number lies within; NaN never does."""
        return self.least <= number <= self.most and not (self.above and number == self.least)


Count = Annotated[int, Range("a whole number from 1 on", 1)]
CountFrom0 = Annotated[int, Range("a whole number from 0 on", 0)]
Seed = Annotated[int, Range("a whole number from 0 to 4294967295", 0, 2**32 - 1)]
Share = Annotated[float, Range("a number from 0 to 1", 0, 1)]
NotNegative = Annotated[float, Range("a number from 0 on", 0)]
Positive = Annotated[float, Range("a number above 0", 0, above=True)]
