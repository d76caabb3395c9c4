"""Whether annotated boxes, areas, and what lies in the boxes agree; what most records have wrong has one cause.

Tolerances were set on COCO 2017, of whose boxes none raises an alarm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray

from hrtoolkit.findings import Findings

SAMPLED = 20_000  # boxes that statistics look at
EDGE = 2.0  # pixels that a box may reach beyond its image
SAME = 0.02  # relative difference of areas that are the same but for rounding
AREAS = 0.01, 1.5  # of the box, that an object's area lies between

# Other ways to write a box, from its numbers [N, 4]: corners [N, 4], and what to do about it.
READINGS: dict[str, tuple[Callable[[ndarray], ndarray], str]] = {
    "corners (x1, y1, x2, y2)": (lambda b: b, "write x2 - x1 and y2 - y1 for the last two"),
    "centres and sizes (x, y, width, height)": (
        lambda b: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1),
        "take half the width and height from the first two",
    ),
    "rows before columns (top, left, height, width)": (
        lambda b: np.concatenate([b[:, 1::-1], b[:, 1::-1] + b[:, :1:-1]], axis=1),
        "exchange them",
    ),
}


def check_boxes(
    boxes_xywh: ndarray,
    image_wh: ndarray,
    names: ndarray,
    findings: Findings,
    areas: ndarray | None = None,
    inner_xyxy: ndarray | None = None,
) -> bool:
    """Hold boxes against their images, areas and contents; what most of them have wrong stops training.

    Args:
        boxes_xywh: [N, 4] left, top, width, height of single objects, finite and with extent.
        image_wh: [N, 2] of their images.
        names: [N] what messages call them.
        findings: gets what is wrong.
        areas: [N] as annotated, NaN where nobody says.
        inner_xyxy: [N, 4] around the keypoints or the mask of each, NaN where there is none (or too little to tell).

    Returns:
        whether the boxes mean what they should, as far as can be told.
    """
    if not len(boxes_xywh):
        return True
    if len(boxes_xywh) > SAMPLED:
        chosen = np.sort(np.random.default_rng(0).choice(len(boxes_xywh), SAMPLED, replace=False))
        boxes_xywh, image_wh, names = boxes_xywh[chosen], image_wh[chosen], names[chosen]
        areas, inner_xyxy = (None if values is None else values[chosen] for values in (areas, inner_xyxy))
    fractions = np.all(boxes_xywh <= 1, axis=1) & np.all(image_wh > 2, axis=1)
    if _are_most(fractions):
        what = "boxes that look like fractions of the image (0 to 1)"
        findings.add("stop", what, names[fractions], "boxes are in pixels; multiply by the image's width and height")
        return False
    if _check_reading(boxes_xywh, image_wh, names, findings, areas, inner_xyxy):
        return False
    if areas is not None:
        _check_areas(boxes_xywh, areas, names, findings)
    return True


def check_edges(boxes_xyxy: ndarray, image_wh: ndarray, names: ndarray, findings: Findings) -> None:
    """Count boxes that reach over the edge of their image, as whole people behind it do: they are sound.

    Args:
        boxes_xyxy: [N, 4] of which a part at least lies in the image.
        image_wh: [N, 2] of their images.
        names: [N] what messages call them.
        findings: gets what is found.
    """
    over = names[~_lie_inside(boxes_xyxy, image_wh)]
    remedy = "they are cut there for training; if they should not reach so far, look at tools/browse_data.py's pictures"
    findings.add("warning", "boxes that reach over the edge of their image", over, remedy)


def _check_reading(
    boxes_xywh: ndarray,
    image_wh: ndarray,
    names: ndarray,
    findings: Findings,
    areas: ndarray | None,
    inner_xyxy: ndarray | None,
) -> bool:
    """Find boxes that make sense when they are read in another way, and in that way alone; whether they do."""
    corners = np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)
    beyond = ~_lie_inside(corners, image_wh)
    found = {}
    for what, (read, remedy) in READINGS.items():
        other = read(boxes_xywh)
        sensible = np.all(other[:, 2:] > other[:, :2], axis=1) & _lie_inside(other, image_wh)
        told, denied = beyond & sensible, np.zeros_like(beyond)
        if areas is not None:
            extents = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (corners, other))
            ours, theirs = (np.abs(areas - extent) < SAME * extent for extent in extents)
            told, denied = told | (theirs & ~ours & sensible), denied | (ours & ~theirs)
        if inner_xyxy is not None:
            ours, theirs = _distances(inner_xyxy, corners), _distances(inner_xyxy, other)
            told = told | (np.all(theirs < 0.5 * ours, axis=1) & sensible)
            denied = denied | np.any(ours < theirs, axis=1)
        told &= ~denied
        # One box in five is enough, where many make sense and few speak against it.
        many = len(names) >= 10 and sensible.mean() > 0.98 and told.mean() > 0.2 > denied.mean()
        if sensible.mean() >= 0.9 and (_are_most(told) or many):
            found[what] = told, remedy
    if found:
        what = max(found, key=lambda reading: found[reading][0].sum())
        told, remedy = found[what]
        remedy = f"COCO's `bbox` is left, top, width, height; {remedy}"
        findings.add("stop", f"boxes that look like {what}", names[told], remedy)
    return bool(found)


def _lie_inside(corners: ndarray, image_wh: ndarray) -> ndarray:
    return np.all(corners[:, :2] >= -EDGE, axis=1) & np.all(corners[:, 2:] <= image_wh + EDGE, axis=1)


def _distances(inner_xyxy: ndarray, corners: ndarray) -> ndarray:
    """How far, [N, 2] along x and y, the two ends of what lies in a box are from the ends of the box."""
    return np.abs(inner_xyxy - corners).reshape(-1, 2, 2).sum(axis=1)


def _check_areas(boxes_xywh: ndarray, areas: ndarray, names: ndarray, findings: Findings) -> None:
    share = areas / np.prod(boxes_xywh[:, 2:], axis=1)
    odd = (areas > 0) & ((share < AREAS[0]) | (share > AREAS[1]))
    shown = [
        f"{name}: area {area:g}, box {width:g} x {height:g}"
        for name, area, (width, height) in zip(names[odd].tolist(), areas[odd], boxes_xywh[odd, 2:], strict=True)
    ]
    same = f"; it is {areas[odd][0]:g} in all, which says nothing" if odd.sum() > 1 and np.ptp(areas[odd]) == 0 else ""
    findings.add(
        "stop" if _are_most(odd) else "note",
        "areas that do not fit their boxes",
        shown,
        "`area` is in square pixels, no more than that of the box, and scores depend on it; correct it, or leave it "
        f"out and it is taken from the box{same}",
    )


def _are_most(which: ndarray) -> bool:
    return which.mean() > 0.5
