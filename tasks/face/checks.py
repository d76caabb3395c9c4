"""What can be wrong with annotated faces; every fault becomes a finding with the first faces that have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.data.coco import FAULTS, Faults
from hrtoolkit.findings import Findings, Level
from hrtoolkit.keypoints.checks import check_points
from hrtoolkit.keypoints.views import PADDING

EDGE = 2.0  # pixels that a landmark may lie outside its image without a word
MIN_SIDE = 2.0  # pixels that the box of a face exceeds


class Faces(NamedTuple):
    """N annotated faces, as read. Points are (x, y) in pixels counted from 0."""

    images: Sequence[Path | str]  # [N] the image of each face; empty where it is no file of its own
    image_sizes: ndarray  # [N, 2] its width and height, 0 where they are not known
    keypoints: ndarray  # [N, K, 2]
    boxes: ndarray  # [N, 4] left, top, width, height, which crops start from
    places: Sequence[str]  # [N] where each is annotated, for messages: file, or file and line
    visible: ndarray | None = None  # [N, K] bool, which are labelled; None where all are
    box_sizes: ndarray | None = None  # [N] side of the box, for errors; None where it is that of `boxes`
    subsets: dict[str, ndarray] | None = None  # name -> [N] bool
    image_ids: Sequence[int | str] | None = None  # [N]; None where images have no other name than their file's


def keypoint_boxes(keypoints: ndarray, visible: ndarray | None = None) -> ndarray:
    """Boxes [N, 4] (left, top, width, height) around keypoints [N, K, 2], enlarged to whole pixels.

    It is the rule by which the centres and scales of the official csv files of 300W and WFLW were made.

    Args:
        keypoints: [N, K, 2].
        visible: [N, K] bool, which keypoints are labelled, one at least of every face; None where all are.
    """
    if visible is not None:
        keypoints = np.where(visible[..., None], keypoints, np.nan)
    low, high = np.floor(np.nanmin(keypoints, axis=1)), np.ceil(np.nanmax(keypoints, axis=1))
    return np.concatenate([low, high - low], axis=1)


def check_faces(
    faces: Faces, visible: ndarray, max_outside: float, findings: Findings, faults: Faults = "stop"
) -> ndarray:
    """Find landmarks that are not finite, outside their image or elsewhere than their box, and boxes without extent.

    Args:
        faces: as read.
        visible: [N, K] bool.
        max_outside: see `FaceSamples`.
        findings: gets what is wrong.
        faults: whether faces that are not usable stop training.

    Returns:
        [N] bool, which faces are usable.
    """
    keypoints = np.concatenate([faces.keypoints, visible[..., None]], axis=-1)
    check_points(keypoints, faces.image_sizes, np.array(faces.places), findings)
    sides = faces.boxes[:, 2:]
    infinite = (visible & ~np.isfinite(faces.keypoints).all(axis=2)).any(axis=1)
    extended = (sides >= 0).all(axis=1) & (sides.max(axis=1) > MIN_SIDE)
    empty = ~infinite & ~(np.isfinite(faces.boxes).all(axis=1) & extended)
    astray = _find_astray(faces, visible) & ~(infinite | empty)
    sound = ~(infinite | empty | astray)
    beyond = np.where(visible & sound[:, None], _measure_outside(faces), -np.inf)  # [N, K] pixels
    worst = beyond.max(axis=1)
    far = worst > np.maximum(max_outside * sides.max(axis=1), EDGE)
    tiny = _find_tiny(faces, visible & sound[:, None]) & sound

    def outside(face: int) -> str:
        place = beyond[face].argmax()
        x, y = faces.keypoints[face, place]
        width, height = faces.image_sizes[face]
        return f"{faces.places[face]}: landmark {place + 1} at ({x:g}, {y:g}), image {width}x{height}"

    def box(face: int) -> str:
        left, top, width, height = faces.boxes[face]
        return f"{faces.places[face]}: {width:g}x{height:g} at ({left:g}, {top:g})"

    found = {
        "infinite": (infinite, lambda face: faces.places[face]),
        "empty": (empty, box),
        "astray": (astray, box),
        "far": (far, outside),
        "near": (~far & (worst > EDGE), outside),
        "tiny": (tiny, box),
    }
    _tell(found, max_outside, findings, faults)
    again = _find_repeated(faces)
    findings.add("warning", "faces annotated again", again, "they are trained and counted twice; remove them")
    return sound & ~far


# Level, what is wrong, and the remedy.
FACE_FAULTS: dict[str, tuple[Level, str, str]] = {
    "infinite": (
        "stop",
        "faces with landmarks that are not finite",
        "correct the coordinates, or remove the faces",
    ),
    "empty": (
        "stop",
        "faces whose box (or landmarks, where they make the box) has no extent",
        "correct or remove them",
    ),
    "astray": (
        "stop",
        "faces of which most landmarks lie outside the box's crop",
        "correct the box (a `scale` is in units of 200 pixels) or the landmarks",
    ),
    "far": (
        "stop",
        "faces with a landmark outside the image",
        "correct the coordinates, remove the faces, or use them as they are with a dataset's `max_outside` above {:g}",
    ),
    "near": ("warning", "faces with a landmark a little outside the image", "they are used as they are"),
    "tiny": (
        "warning",
        "faces whose landmarks fill less than a tenth of their box",
        "the crop follows the box; check it (a `scale` is in units of 200 pixels)",
    ),
}


def _tell(found: dict[str, tuple[ndarray, Callable]], max_outside: float, findings: Findings, faults: Faults) -> None:
    """Add the faults of faces [N] to the findings, each with what describes a face."""
    for name, (which, describe) in found.items():
        level, what, remedy = FACE_FAULTS[name]
        if level == "stop" and faults == "drop":
            level, remedy = FAULTS["drop"]
        findings.add(level, what, [describe(face) for face in np.flatnonzero(which)], remedy.format(max_outside))


def _find_astray(faces: Faces, visible: ndarray) -> ndarray:
    """Which faces [N] have most of their landmarks outside the crop that their box gives."""
    sides = faces.boxes[:, 2:]
    with np.errstate(invalid="ignore"):
        reach = PADDING * sides.max(axis=1)[:, None] / 2
        centers = faces.boxes[:, None, :2] + sides[:, None] / 2
        cropped = (np.abs(faces.keypoints - centers) <= reach[..., None]).all(axis=2)
    return (cropped & visible).sum(axis=1) < visible.sum(axis=1) / 2


def _find_tiny(faces: Faces, visible: ndarray) -> ndarray:
    """Which faces [N] have landmarks that fill less than a tenth of their box."""
    centers = faces.boxes[:, None, :2] + faces.boxes[:, None, 2:] / 2
    extent = np.ptp(np.where(visible[..., None], faces.keypoints, centers), axis=1).max(axis=1)
    return (visible.sum(axis=1) > 2) & (extent < 0.1 * faces.boxes[:, 2:].max(axis=1))


def _measure_outside(faces: Faces) -> ndarray:
    """How many pixels each landmark lies outside its image, [N, K]; where its size is not known none does."""
    known = np.all(faces.image_sizes > 0, axis=1)
    last = np.where(known[:, None], faces.image_sizes - 1.0, np.inf)[:, None]
    first = np.where(known, 0.0, -np.inf)[:, None, None]
    return np.maximum(first - faces.keypoints, faces.keypoints - last).max(axis=2)


def _find_repeated(faces: Faces) -> list[str]:
    """Faces with the landmarks of an earlier one in the same image, and which that is."""
    seen: dict[tuple, int] = {}
    images = faces.images if faces.image_ids is None else faces.image_ids
    return [
        f"{faces.places[face]}, as {faces.places[first]}"
        for face, (image, points) in enumerate(zip(images, faces.keypoints, strict=True))
        if (first := seen.setdefault((image, points.tobytes()), face)) != face
    ]
