"""Left and right in names: which of them are mirror partners."""

from __future__ import annotations

import re
from collections.abc import Sequence

LEFT_TO_RIGHT = {"left": "right", "l": "r"}
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
SIDE = re.compile("left|right|[lr]$", re.IGNORECASE)


def partners_by_name(names: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of names that differ in left/right alone, and names that tell a side without a partner."""
    known = {_join_words(name): name for name in names}  # "left elbow" is the partner of "right_elbow"
    pairs = [
        (name, known[_join_words(partner)])
        for name in names
        if (partner := _swap_side(name, LEFT_TO_RIGHT)) and _join_words(partner) in known
    ]
    # A single letter may stand for anything ("L5" is a vertebra); "left" without a right is a slip of the pen.
    words = {"left": "right", "right": "left"}
    alone = [name for name in names if _swap_side(name, words) and not any(name in pair for pair in pairs)]
    return pairs, alone


def _join_words(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name)


def left_first(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Mirrored pairs with the left one first, where their names tell; schemes list them either way."""
    return [(b, a) if _join_words(_swap_side(b, LEFT_TO_RIGHT) or "") == _join_words(a) else (a, b) for a, b in pairs]


def _swap_side(name: str, sides: dict[str, str]) -> str | None:
    """Exchange the words of a name that tell a side, whatever joins them; None where there is none.

    Words are told apart by other characters and by case (leftEye, LEye), and one may begin with a side (lefteye).
    """

    def swap(match: re.Match) -> str:
        word = match[0]
        side = SIDE.match(word)
        if side is None or side[0].lower() not in sides:
            return word
        other = sides[side[0].lower()]
        other = other.upper() if side[0].isupper() else other.capitalize() if word[0].isupper() else other
        return other + word[side.end() :]

    swapped = WORD.sub(swap, name)
    return None if swapped == name else swapped
