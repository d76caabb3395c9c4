"""Annotated faces as flat arrays, whatever they were read from, and what can be wrong with them.

Convention: landmarks are (x, y) in pixels counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hrtoolkit.data.checks import check_pairs, check_symmetry
from hrtoolkit.data.doctor import Findings
from hrtoolkit.data.keypoints import KeypointDataset, People
from hrtoolkit.structures import KeypointLayout

PADDING = 1.25  # of every face's box, in training and at test time
EDGE = 2.0  # pixels that a landmark may lie outside its image without a word
MIN_SIDE = 2.0  # pixels that the box of a face exceeds


class Faces(NamedTuple):
    """N annotated faces, as read."""

    images: Sequence[Path | str]  # [N] the image of each face
    image_sizes: np.ndarray  # [N, 2] its width and height, 0 where they are not known
    keypoints: np.ndarray  # [N, K, 2] (x, y)
    boxes: np.ndarray  # [N, 4] left, top, width, height, which crops start from
    places: Sequence[str]  # [N] where each is annotated, for messages: file, or file and line
    visible: np.ndarray | None = None  # [N, K] bool, which are labelled; None where all are
    box_sizes: np.ndarray | None = None  # [N] side of the box, for errors; None where it is that of `boxes`
    subsets: dict[str, np.ndarray] | None = None  # name -> [N] bool
    image_ids: Sequence[int | str] | None = None  # [N]; None where images have no other name than their file's


class FaceDataset(KeypointDataset):
    """Faces cropped by a transform; a subclass reads one annotation format.

    Args:
        layout: of the landmarks.
        transform: crops one face.
        faces: in the order of the files.
        findings: what was wrong while they were read.
        max_outside: how far outside its image a landmark may lie, as a fraction of its face's box; what lies further
            out stops training, what lies outside at all is a warning.
        strict: refuse faces with faults that stop training; the data doctor goes on with the others.

    Raises:
        DataError: faces have such faults, or none is left.
    """

    def __init__(
        self,
        layout: KeypointLayout,
        transform: Callable[..., dict],
        faces: Faces,
        findings: Findings,
        max_outside: float,
        strict: bool,
    ):
        self.ann_file = findings.where
        visible = np.ones(faces.keypoints.shape[:2], bool) if faces.visible is None else faces.visible
        usable = check_faces(faces, visible, max_outside, findings)
        check_pairs(layout, findings)
        check_symmetry(faces.keypoints[usable], visible[usable], layout, findings)
        if strict or not usable.any():
            findings.raise_stops()
        images = list(dict.fromkeys(faces.images))
        position = {image: i for i, image in enumerate(images)}
        owners = np.array([position[image] for image in faces.images])
        order = np.argsort(owners, kind="stable")
        order = order[usable[order]]
        _, first = np.unique(owners, return_index=True)
        ids = [str(i) for i in images] if faces.image_ids is None else [faces.image_ids[i] for i in first]
        boxes = faces.boxes[order].astype(np.float32)
        sides = boxes[:, 2:].max(axis=1)
        self.box_sizes = sides if faces.box_sizes is None else faces.box_sizes[order]
        self.subsets = {name: np.asarray(chosen, bool)[order] for name, chosen in (faces.subsets or {}).items()}
        people = People(
            images=owners[order].astype(np.int32),
            centers=(faces.boxes[order, :2] + faces.boxes[order, 2:] / 2).astype(np.float32),
            sizes=np.repeat(PADDING * sides[:, None], 2, axis=1),
            keypoints=faces.keypoints[order].astype(np.float32),
            visible=visible[order].astype(np.uint8),
            boxes=boxes,
            box_scores=np.ones(len(order), np.float32),
        )
        super().__init__(layout, transform, images, ids, faces.image_sizes[first], people, None, findings)

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {
            "layout": self.layout,
            "keypoints": self.keypoints,
            "visible": self.visible,
            "box_sizes": self.box_sizes,
            "subsets": self.subsets,
            "ann_file": self.ann_file,
        }


def landmark_boxes(keypoints: np.ndarray, visible: np.ndarray | None = None) -> np.ndarray:
    """Boxes [N, 4] (left, top, width, height) around landmarks [N, K, 2], enlarged to whole pixels.

    It is the rule by which the centres and scales of the official csv files of 300W and WFLW were made.

    Args:
        keypoints: [N, K, 2].
        visible: [N, K] bool, which landmarks are labelled, one at least of every face; None where all are.
    """
    if visible is not None:
        keypoints = np.where(visible[..., None], keypoints, np.nan)
    low, high = np.floor(np.nanmin(keypoints, axis=1)), np.ceil(np.nanmax(keypoints, axis=1))
    return np.concatenate([low, high - low], axis=1)


def check_faces(faces: Faces, visible: np.ndarray, max_outside: float, findings: Findings) -> np.ndarray:
    """Find landmarks that are not finite, outside their image or elsewhere than their box, and boxes without extent.

    Args:
        faces: as read.
        visible: [N, K] bool.
        max_outside: see `FaceDataset`.
        findings: gets what is wrong.

    Returns:
        [N] bool, which faces are usable.
    """
    infinite = (visible & ~np.isfinite(faces.keypoints).all(axis=2)).any(axis=1)
    sides = faces.boxes[:, 2:]
    extended = (sides >= 0).all(axis=1) & (sides.max(axis=1) > MIN_SIDE)
    empty = ~infinite & ~(np.isfinite(faces.boxes).all(axis=1) & extended)
    sound = ~(infinite | empty)
    with np.errstate(invalid="ignore"):
        reach = PADDING * sides.max(axis=1)[:, None] / 2
        centers = faces.boxes[:, None, :2] + sides[:, None] / 2
        cropped = (np.abs(faces.keypoints - centers) <= reach[..., None]).all(axis=2)
    astray = sound & ((cropped & visible).sum(axis=1) < visible.sum(axis=1) / 2)
    sound &= ~astray
    masked = np.where((visible & sound[:, None])[..., None], faces.keypoints, centers)
    extent = np.ptp(masked, axis=1).max(axis=1)
    tiny = (visible.sum(axis=1) > 2) & (extent < 0.1 * sides.max(axis=1))

    known = (faces.image_sizes > 0).all(axis=1)
    last = np.where(known[:, None], faces.image_sizes - 1.0, np.inf)[:, None]
    first = np.where(known, 0.0, -np.inf)[:, None, None]
    outside = np.maximum(first - faces.keypoints, faces.keypoints - last).max(axis=2)
    beyond = np.where(visible & sound[:, None], outside, -np.inf)  # [N, K] pixels
    worst = beyond.max(axis=1)
    far = worst > np.maximum(max_outside * sides.max(axis=1), EDGE)
    near = ~far & (worst > EDGE)

    def describe_outside(face: int) -> str:
        landmark = beyond[face].argmax()
        x, y = faces.keypoints[face, landmark]
        width, height = faces.image_sizes[face]
        return f"{faces.places[face]}: landmark {landmark + 1} at ({x:g}, {y:g}), image {width}x{height}"

    def describe_box(face: int) -> str:
        left, top, width, height = faces.boxes[face]
        return f"{faces.places[face]}: {width:g}x{height:g} at ({left:g}, {top:g})"

    for level, what, found, describe, remedy in (
        (
            "stop",
            "faces with landmarks that are not finite",
            infinite,
            lambda face: faces.places[face],
            "correct the coordinates, or remove the faces",
        ),
        (
            "stop",
            "faces whose box (or landmarks, where they make the box) has no extent",
            empty,
            describe_box,
            "correct or remove them",
        ),
        (
            "stop",
            "faces of which most landmarks lie outside the box's crop",
            astray,
            describe_box,
            "correct the box (a `scale` is in units of 200 pixels) or the landmarks",
        ),
        (
            "stop",
            "faces with a landmark outside the image",
            far,
            describe_outside,
            "correct the coordinates, remove the faces, or use them as they are with a dataset's `max_outside` above "
            f"{max_outside:g}",
        ),
        (
            "warning",
            "faces with a landmark a little outside the image",
            near,
            describe_outside,
            "they are used as they are",
        ),
        (
            "warning",
            "faces whose landmarks fill less than a tenth of their box",
            sound & tiny,
            describe_box,
            "the crop follows the box; check it (a `scale` is in units of 200 pixels)",
        ),
    ):
        findings.add(level, what, [describe(face) for face in np.flatnonzero(found)], remedy)
    seen: dict[tuple, int] = {}
    again = [
        f"{faces.places[face]}, as {faces.places[first]}"
        for face, (image, points) in enumerate(zip(faces.images, faces.keypoints, strict=True))
        if (first := seen.setdefault((image, points.tobytes()), face)) != face
    ]
    findings.add("warning", "faces annotated again", again, "they are trained and counted twice; remove them")
    return sound & ~far
