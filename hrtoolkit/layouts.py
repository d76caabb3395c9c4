"""Keypoint schemes by name, and what follows for a scheme from its names alone."""

from __future__ import annotations

import dataclasses
import re

from hrtoolkit.structures import KeypointLayout

LAYOUTS: dict[str, KeypointLayout] = {}  # what the tasks have registered

LEFT_TO_RIGHT = {"left": "right", "l": "r"}
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
SIDE = re.compile("left|right|[lr]$", re.IGNORECASE)


def register_layout(name: str, layout: KeypointLayout) -> None:
    """Make a scheme known to configs, and to checkpoints that do not tell theirs."""
    LAYOUTS[name] = layout


def resolve_layout(layout: str | dict | KeypointLayout | None) -> KeypointLayout:
    """Turn what a config says of its keypoints into a layout: a known name, the fields of a layout, or a layout.

    Raises:
        ValueError: nothing is given, the name is unknown, or the fields do not make a layout.
    """
    if isinstance(layout, KeypointLayout):
        return layout
    if isinstance(layout, str) and layout in LAYOUTS:
        return LAYOUTS[layout]
    if isinstance(layout, dict):
        fields = [field.name for field in dataclasses.fields(KeypointLayout)]
        if unknown := [name for name in layout if name not in fields]:
            raise ValueError(f"a keypoint layout has no {', '.join(unknown)}; it has {', '.join(fields)}")
        return complete_layout(**layout)
    raise ValueError(
        f"a keypoint layout must be one of {sorted(LAYOUTS)} or a dict with at least `names`, got {layout!r}; "
        "None is only possible where training data tells the names"
    )


def complete_layout(names, mirrored=None, skeleton=(), sigmas=(), upper_body=(), nme_reference=()) -> KeypointLayout:
    """Fill in what a scheme does not state.

    Mirror partners are the names that differ in left/right alone ("left_eye", "right_eye"; "LHip", "RHip"). A scheme
    with exactly the names of a known one is that one.
    """
    names = tuple(names)
    if mirrored is None and not sigmas and not nme_reference:
        for known in LAYOUTS.values():
            if names == known.names:
                return known
    if mirrored is None:
        mirrored, _ = partners_by_name(names)
    return KeypointLayout(names, mirrored, skeleton, sigmas, upper_body, nme_reference)


def partners_by_name(names: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of names that differ in left/right alone, and names that tell a side without a partner."""
    pairs = [(name, partner) for name in names if (partner := _swap_side(name, LEFT_TO_RIGHT)) in names]
    # A single letter may stand for anything ("L5" is a vertebra); "left" without a right is a slip of the pen.
    words = {"left": "right", "right": "left"}
    alone = [name for name in names if _swap_side(name, words) and not any(name in pair for pair in pairs)]
    return pairs, alone


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
