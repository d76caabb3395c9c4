"""Where a network of crops looks: boxes that a person gives, or that a detector finds."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeGuard, runtime_checkable

import cv2
import numpy as np
from numpy import ndarray

from .errors import DataError, OptionError, suggest
from .sources import HasArray, Picture

log = logging.getLogger(__name__)
LEAST_SCORE = 0.5  # of a detection that is looked at
WHOLE = "whole"  # in place of boxes: the whole picture is one crop
YUNET_URL = "https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet"


class Boxes(NamedTuple):
    """Where to look in one picture."""

    boxes_xyxy: ndarray  # [N, 4] float64, edges in pixels of the picture
    scores: ndarray  # [N] float32


class HasNames(Protocol):
    """A scheme."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs."""
        ...


@runtime_checkable
class Finder(Protocol):
    """A predictor of objects."""

    @property
    def scheme(self) -> HasNames:
        """What its outputs stand for."""
        ...

    def find(self, image: ndarray) -> Any:
        """The record of an RGB picture, uint8 [H, W, 3]."""
        ...


Rows = HasArray | Sequence[Sequence[float]]  # x1, y1, x2, y2 and perhaps a score, of each box; also a tensor
BoxesLike = str | os.PathLike[str] | Rows | Sequence[Rows] | Mapping[str, Rows]  # see `use_boxes`
Detector = str | os.PathLike[str] | Finder | Callable[[ndarray], Rows]  # see `use_detector`
Find = Callable[[int, Picture], Boxes]  # of picture number i


def use_boxes(boxes: BoxesLike) -> Find:
    """Look where a person says.

    Args:
        boxes: "whole" for the whole picture; boxes (x1, y1, x2, y2[, score]) in its pixels, [N, 4] or [N, 5], for every
            picture alike; a list of such arrays, one a picture; a dict or json file of them by the pictures'
            names, of frames also "film.mp4#3", counted from 0.

    Raises:
        OptionError: it is something else.
        DataError: the file cannot be read.
    """
    if isinstance(boxes, str) and boxes == WHOLE:
        return lambda index, picture: _whole(picture)
    if isinstance(boxes, (str, os.PathLike)):
        path, boxes = Path(boxes), _read_json(Path(boxes))
        if not isinstance(boxes, Mapping):
            raise DataError(f"{path}: expected names of pictures with boxes, such as {{'1.jpg': [[x1, y1, x2, y2]]}}")
    if isinstance(boxes, Mapping):
        by_name = {str(name): _check(value, f"boxes of {name}") for name, value in boxes.items()}
        return lambda index, picture: _look_up(by_name, picture)
    if _is_boxes(boxes):
        fixed = _check(boxes, "boxes")
        return lambda index, picture: fixed
    if not isinstance(boxes, Sequence):
        raise OptionError(f"boxes takes 'whole', an array, a list, a dict or a json file, got {type(boxes).__name__}")
    rows: Sequence[Any] = boxes
    each = [_check(one, f"boxes of picture {index}") for index, one in enumerate(rows)]
    return lambda index, picture: _of_picture(each, index, picture)


def use_detector(detector: Detector) -> Find:
    """Look where a detector finds something, with a score of 0.5 at least.

    Its boxes in which there is nothing to see, because they have no extent, are not finite or lie outside the picture,
    are left out, and the log says so once.

    Args:
        detector: a predictor of objects, of which people (or, where it knows none, all) are looked at; a function from
            RGB uint8 [H, W, 3] to boxes [N, 4] or [N, 5]; or the file of OpenCV's face detector YuNet.

    Raises:
        OptionError: the file cannot be read, or the predictor finds no boxes.
    """
    if isinstance(detector, (str, os.PathLike)):
        detect: Callable[[ndarray], Rows] = _yunet(os.fspath(detector))
    else:
        detect = _people_of(detector) if isinstance(detector, Finder) else detector
    warned = False

    def find(index: int, picture: Picture) -> Boxes:
        nonlocal warned
        where = _name(picture)
        rows = _read_rows(detect(picture.image), f"the detector, in {where}")
        height, width = picture.image.shape[:2]
        kept = np.isfinite(rows).all(axis=1) & (rows[:, 2:4] > rows[:, :2]).all(axis=1)
        kept &= (rows[:, :2] < (width, height)).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1)
        if not kept.all() and not warned:
            warned = True
            log.warning(
                "%s: the detector's box %s shows nothing (boxes are x1, y1, x2, y2 in pixels) and is left out, as all "
                "such boxes are",
                *(where, rows[~kept][0, :4].tolist()),
            )
        return _with_scores(rows[kept])

    return find


def choose_people(found: Any, names: Sequence[str]) -> Boxes:
    """Where found objects are worth a closer look: people, or all where no class is "person", from 0.5 on.

    Args:
        found: a record of objects.
        names: of their classes or keypoints.
    """
    assert found.scores is not None, "predictions have scores"
    chosen = found.scores >= LEAST_SCORE
    if found.points is None and "person" in names:
        chosen &= found.labels == names.index("person")
    return Boxes(found.boxes_xyxy[chosen], found.scores[chosen])


def check_inside(boxes_xyxy: ndarray, picture: Picture) -> None:
    """Refuse boxes that show nothing of the picture; they may reach over its edge.

    Args:
        boxes_xyxy: [N, 4] in its pixels.
        picture: to look at.

    Raises:
        DataError: a box lies outside.
    """
    height, width = picture.image.shape[:2]
    outside = (boxes_xyxy[:, :2] >= (width, height)).any(axis=1) | (boxes_xyxy[:, 2:] <= 0).any(axis=1)
    if outside.any():
        box = boxes_xyxy[outside][0].tolist()
        raise DataError(f"{_name(picture)}: the box {box} lies outside the picture ({width} x {height})")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid json: {error}") from None


def _whole(picture: Picture) -> Boxes:
    height, width = picture.image.shape[:2]
    return Boxes(np.array([[0, 0, width, height]], np.float64), np.ones(1, np.float32))


def _is_boxes(value: object) -> TypeGuard[Rows]:
    """Whether a value is the boxes of one picture, and not a list of them."""
    if hasattr(value, "__array__"):
        return getattr(value, "ndim", 0) == 2
    return isinstance(value, Sequence) and all(
        isinstance(one, Sequence) and len(one) in (4, 5) and all(isinstance(x, (int, float)) for x in one)
        for one in value
    )


def _name(picture: Picture) -> str:
    """What messages call a picture, or a frame: film.mp4#3."""
    name, frame = picture.source.name, picture.source.frame
    return name if frame is None else f"{name}#{frame}"


def _read_rows(value: Rows, what: str) -> ndarray:
    """Boxes with their scores, if there are such: [N, 4] or [N, 5]."""
    try:
        array = np.asarray(value.cpu() if hasattr(value, "cpu") else value, np.float64)  # tensors may lie elsewhere
    except (TypeError, ValueError):
        raise DataError(f"{what}: expected rows of x1, y1, x2, y2, got {value!r}") from None
    if not array.size:
        array = np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise DataError(f"{what}: expected rows of x1, y1, x2, y2 and perhaps a score, got shape {array.shape}")
    return array


def _check(value: Rows, what: str) -> Boxes:
    array = _read_rows(value, what)
    if not np.isfinite(array).all():
        raise DataError(f"{what}: row {int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])} is not finite")
    flat = np.flatnonzero((array[:, 2:4] <= array[:, :2]).any(axis=1))
    if len(flat):
        row = array[flat[0], :4].tolist()
        raise DataError(f"{what}: {row} has no extent; boxes are x1, y1, x2, y2 in pixels (not width and height)")
    return _with_scores(array)


def _with_scores(rows: ndarray) -> Boxes:
    """Boxes of rows [N, 4], whose scores are 1, or [N, 5]."""
    scores = rows[:, 4] if rows.shape[1] == 5 else np.ones(len(rows))
    return Boxes(np.ascontiguousarray(rows[:, :4]), scores.astype(np.float32))


def _look_up(by_name: Mapping[str, Boxes], picture: Picture) -> Boxes:
    name, path, frame, _ = picture.source
    names = [name, Path(name).name] + ([path, Path(path).name] if path else [])
    for key in [*(f"{one}#{frame}" for one in names), *names]:
        if key in by_name:
            return by_name[key]
    near = suggest(name, list(by_name))
    raise DataError(f"{_name(picture)}: there are no boxes for it (an empty list would say that nobody is there){near}")


def _of_picture(each: Sequence[Boxes], index: int, picture: Picture) -> Boxes:
    if index >= len(each):
        raise DataError(f"{_name(picture)}: there are boxes for {len(each)} pictures, and this is number {index + 1}")
    return each[index]


def _people_of(predictor: Finder) -> Callable[[ndarray], ndarray]:
    def detect(image: ndarray) -> ndarray:
        found = predictor.find(image)
        if not hasattr(found, "boxes_xyxy"):
            raise OptionError(f"a detector finds boxes, and this predictor gives a {type(found).__name__}")
        people = choose_people(found, predictor.scheme.names)
        return np.concatenate([people.boxes_xyxy, people.scores[:, None]], axis=1)

    return detect


def _yunet(path: str) -> Callable[[ndarray], ndarray]:
    """Faces found by OpenCV's YuNet (Wu et al., Machine Intelligence Research 2023)."""
    if not Path(path).is_file():
        raise OptionError(f"{path}: no such file; YuNet's face_detection_yunet_*.onnx is at {YUNET_URL}")
    try:
        detector = cv2.FaceDetectorYN.create(path, "", (320, 320), score_threshold=LEAST_SCORE)
    except cv2.error as error:
        raise OptionError(f"{path}: OpenCV cannot read it as YuNet ({error.err}); the file is at {YUNET_URL}") from None

    def detect(image: ndarray) -> ndarray:
        detector.setInputSize(image.shape[1::-1])
        found = detector.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        if found is None:
            return np.zeros((0, 5))
        boxes = found[:, [0, 1, 2, 3, -1]].astype(np.float64)
        boxes[:, 2:4] += boxes[:, :2]
        return boxes

    return detect
