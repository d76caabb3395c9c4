"""Splitting pictures into those that are trained on and those that are not, so that near copies stay together.

Frames of one film and augmented copies of one picture look alike: a model that was trained on some of them scores well
on the others without having learnt anything.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

ROBOFLOW = re.compile(r"_(?:jpe?g|png|bmp|webp)\.rf\.\w+$|\.rf\.\w+$", re.IGNORECASE)  # of each augmented copy
FRAME = re.compile(r"[-_. ]*(?:frame|img|image|f)?[-_. ]*\(?\d+\)?$", re.IGNORECASE)
FEWEST = 3  # groups, of which whole ones can be held out


def original_name(name: str) -> str:
    """The name of the picture that a picture is a copy of: what it is without Roboflow's suffix."""
    return ROBOFLOW.sub("", PurePosixPath(name).stem)


def group_of(name: str) -> str:
    """The film that a frame is of, as far as names tell: its folder, and its name without the number at its end."""
    return f"{PurePosixPath(name).parent}/{FRAME.sub('', original_name(name))}"


def hold_out(names: Sequence[str], fraction: float, useful: np.ndarray) -> tuple[np.ndarray, str]:
    """Choose the pictures to validate on.

    Whole groups where the names show three or more: those whose names hash lowest, so that it is the same next time.
    Else the last ones in the order of their numbers, so that at most one frame lies beside one that is trained on.

    Args:
        names: paths of N pictures.
        fraction: of the useful ones that is wanted; at least one is taken, and one left.
        useful: bool [N], whether there is something in them to validate on; two at least.

    Returns:
        bool [N], and how they were chosen, in words.
    """
    groups = np.array([group_of(name) for name in names])
    kinds, places = np.unique(groups, return_inverse=True)
    counts = np.bincount(places, weights=useful)
    kinds, counts = kinds[counts > 0], counts[counts > 0]
    wanted = max(1, round(fraction * useful.sum()))
    if len(kinds) >= FEWEST:
        ranked = sorted(range(len(kinds)), key=lambda kind: zlib.crc32(str(kinds[kind]).encode()))
        taken: list[int] = []
        total = 0.0
        for kind in ranked:
            # The one that brings the number nearest, and one at least; not all of them.
            if (not taken or abs(total + counts[kind] - wanted) < abs(total - wanted)) and len(taken) < len(kinds) - 1:
                taken.append(kind)
                total += counts[kind]
        return np.isin(groups, kinds[taken]), f"{len(taken)} of {len(kinds)} groups by folder and name"
    units = np.array([f"{PurePosixPath(name).parent}/{original_name(name)}" for name in names])
    order = np.array(sorted(range(len(names)), key=lambda place: _natural(str(units[place]))))
    start = np.flatnonzero(useful[order])[-wanted]
    first = np.flatnonzero(useful[order])[0]
    while start > first + 1 and units[order[start]] == units[order[start - 1]]:  # copies of a picture stay together
        start -= 1
    held = np.zeros(len(names), bool)
    held[order[start:]] = True
    return held, "the last ones in the order of their names"


def _natural(name: str) -> list:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]
