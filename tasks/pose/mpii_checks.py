"""What can be wrong with the people of an MPII file; every fault becomes a finding with their positions in the file."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from hrtoolkit.data.coco import FAULTS, Faults
from hrtoolkit.data.fields import NUMBER, NUMBERS, PAIR, QUANTITY, TEXT, Field, find_faults
from hrtoolkit.data.foreign import refusal
from hrtoolkit.findings import Findings
from hrtoolkit.keypoints.checks import are_most
from hrtoolkit.schemes.people import MPII

COUNT = len(MPII.names)
SMALL = 0.03  # of the side of their window, that the joints of a person extend over


def _are_points(value: list) -> bool:
    return len(value) == COUNT and all(type(p) is list and len(p) == 2 and set(map(type, p)) <= NUMBER for p in value)


FIELDS = {
    "image": TEXT,
    "center": PAIR,
    "scale": QUANTITY._replace(expected="a number above 0", allows=lambda v: 0 < v < math.inf),
    "joints": Field(f"{COUNT} joints of x and y", frozenset((list,)), _are_points),
    "joints_vis": NUMBERS._replace(expected=f"{COUNT} numbers", allows=lambda v: len(v) == COUNT),
}


def find_sound_people(records: list, findings: Findings, faults: Faults) -> tuple[ndarray, list[dict]]:
    """Positions of the people of an MPII file whose fields hold what they should, and these people.

    Args:
        records: of the file.
        findings: is told of the others.
        faults: whether these stop training.

    Raises:
        DataError: there is nobody.
    """
    told: dict[str, list[str]] = {}
    rows = []
    for row, person in enumerate(records):
        found = list(find_faults(person, FIELDS)) or list(_find_infinite(person))
        for fault, value in found:
            told.setdefault(fault, []).append(f"person {row}: {value}" if value else f"person {row}")
        if not found:
            rows.append(row)
    level, remedy = FAULTS[faults]
    for fault, people in told.items():
        findings.add(level, f"people {fault}", people, remedy)
    if not rows:
        if error := refusal(findings.where):
            raise error
        findings.add("stop", "people, of whom none can be used", range(len(records)), "is it MPII's annot/train.json?")
        findings.raise_stops()
    return np.array(rows), [records[row] for row in rows]


def _find_infinite(person: dict) -> Iterator[tuple[str, str]]:
    """What is not finite of a person whose fields are sound; joints that are not labelled may be anything."""
    if not all(map(math.isfinite, person["center"])):
        yield "whose `center` is not finite", str(person["center"])
    for point, flag in zip(person["joints"], person["joints_vis"], strict=True):
        if not math.isfinite(flag) or (flag > 0 and not all(map(math.isfinite, point))):
            yield "with labelled joints that are not finite", str(point)
            return


def check_windows(
    centers: ndarray, sides: ndarray, joints: ndarray, labelled: ndarray, rows: ndarray, findings: Findings
) -> None:
    """Find people whose window shows something else than their joints.

    Args:
        centers: [N, 2] of the windows.
        sides: [N] of the windows, padded.
        joints: [N, 16, 2].
        labelled: [N, 16] bool.
        rows: [N] what messages call the people.
        findings: gets what is wrong.
    """
    many = labelled.sum(axis=1) >= 3
    with np.errstate(invalid="ignore"):
        shown = (np.abs(joints - centers[:, None]) <= sides[:, None, None] / 2).all(axis=-1) & labelled
    low, high = (np.where(labelled[..., None], joints, end) for end in (np.inf, -np.inf))
    extents = (high.max(axis=1) - low.min(axis=1)).max(axis=1)
    astray = many & (shown.sum(axis=1) < labelled.sum(axis=1) / 2)
    small = many & ~astray & (extents < SMALL * sides)
    remedy = "check `center` and `scale`, which is in units of 200 pixels"
    for what, which in (
        ("people most of whose joints lie outside their window", astray),
        ("people whose joints are much smaller than their window", small),
    ):
        findings.add("stop" if are_most(which, many) else "warning", what, rows[which], remedy)
