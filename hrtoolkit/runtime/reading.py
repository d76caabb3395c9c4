"""From the arrays that a network gives to records, in pixels of the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy import ndarray

from . import geometry
from .masks import Masks, paste_masks
from .oks import collect_people, oks_nms, pairwise_oks, rescore, soft_oks_nms
from .records import Category, LabelMap, Objects, Record, ValueMap, join
from .resample import blend, neighbours, resize_like_torch
from .tagged import find_people
from .views import Look

IGNORED = 255  # in label maps: nothing is known of this pixel
MOST = 20.0  # of an exponent, which keeps the numbers of a network that has learnt little finite
CHUNK_VALUES = 2**23  # scores at full size that are held at once
Arrays = Mapping[str, ndarray]  # outputs of a network, by name
Settings = Mapping[str, Any]
Found = TypeVar("Found", bound=Objects)


def read_keypoints(outputs: Arrays, looks: Sequence[Look], settings: Settings) -> list[Record]:
    """One object a crop, with its `points` [B, K, 2] and their `scores` [B, K].

    Args:
        outputs: of B crops.
        looks: the crops.
        settings: `integer_points`: give points as the official face code does.
    """
    matrices = np.stack([look.matrix for look in looks if look.matrix is not None])
    points = geometry.transform_points(outputs["points"], geometry.invert_affine(matrices))
    if settings["integer_points"]:
        points = np.trunc(points) + 1
    points = points.astype(np.float32)
    return [
        Objects(
            boxes_xyxy=np.array([look.box_xyxy]),
            labels=np.zeros(1, np.int64),
            scores=np.array([look.score]),
            points=points[i : i + 1],
            point_scores=outputs["scores"][i : i + 1],
            areas=np.array([look.area]),
        )
        for i, look in enumerate(looks)
    ]


def read_objects(outputs: Arrays, looks: Sequence[Look], settings: Settings) -> list[Record]:
    """The objects of each image: `boxes` [B, N, 4], `labels` [B, N], `scores` [B, N], perhaps `masks` [B, N, M, M].

    Args:
        outputs: of B images; a label of -1 is no object.
        looks: at the images.
        settings: `last_pixel`, see `views.FitInside`, and `masks`, see `masks.paste_masks`.
    """
    end = np.array([0, 0, 1, 1] if settings["last_pixel"] else [0, 0, 0, 0], np.float32)
    records: list[Record] = []
    for i, look in enumerate(looks):
        there = outputs["labels"][i] >= 0
        (height, width), (input_height, input_width) = look.image_hw, look.pixels.shape[:2]
        factors = np.array([width / input_width, height / input_height] * 2, np.float32)
        boxes = outputs["boxes"][i][there]
        if look.matrix is None:
            boxes = (boxes - end) * factors + end
        else:
            boxes = geometry.surround_boxes(boxes, geometry.invert_affine(look.matrix))
        masks = None
        if settings["masks"] is not None:
            packed = paste_masks(outputs["masks"][i][there], boxes - end, look.image_hw, settings["masks"])
            masks = Masks(look.image_hw, packed)
        labels, scores = outputs["labels"][i][there], outputs["scores"][i][there]
        found = Objects(boxes.astype(np.float64), labels, scores, masks=masks)
        records.append(found if look.matrix is None else cut_objects(found, *look.image_hw))
    return records


def cut_objects(found: Found, height: int, width: int) -> Found:
    """Objects with their boxes cut at the edges of the image; what lies beyond is left out."""
    boxes = found.boxes_xyxy.clip(0, [width, height, width, height])
    inside = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return found._replace(boxes_xyxy=boxes).select(np.flatnonzero(inside))


def read_label_maps(outputs: Arrays, looks: Sequence[Look], settings: Settings) -> list[Record]:
    """The class of every pixel of each image, from `logits` [B, C, h, w].

    Args:
        outputs: of B images.
        looks: at the images.
        settings: `align_corners`, of all resizing.
    """
    return [
        LabelMap(_best_labels(logits, look, settings["align_corners"]))
        for logits, look in zip(outputs["logits"], looks, strict=True)
    ]


def _best_labels(logits: ndarray, look: Look, align_corners: bool) -> ndarray:
    """The class of the highest score at every pixel: exponentials of enlarged logits, as in the official code."""
    input_hw, (height, width) = look.pixels.shape[:2], look.content_hw
    chunk = max(CHUNK_VALUES // max(look.image_hw[0] * look.image_hw[1], input_hw[0] * input_hw[1]), 1)
    best, labels = np.zeros(0), np.zeros(0, np.uint8)
    for first in range(0, len(logits), chunk):
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is marked at the end
            scores = np.exp(resize_like_torch(logits[first : first + chunk], input_hw, align_corners))
            if look.matrix is None:
                scores = resize_like_torch(scores[:, :height, :width], look.image_hw, align_corners)
            else:
                scores = _unwarp(scores, look.matrix, look.image_hw)
        index = scores.argmax(axis=0)
        highest = np.take_along_axis(scores, index[None], axis=0)[0]
        index = (index + first).astype(np.uint8)
        if not first:
            best, labels = highest, index
        else:
            labels, best = np.where(highest > best, index, labels), np.maximum(best, highest)
    return np.where(np.isfinite(best), labels, np.uint8(IGNORED))


def _unwarp(scores: ndarray, matrix: ndarray, image_hw: tuple[int, int]) -> ndarray:
    """Scores [C, h, w] of an input at the pixels of its image, [C, H, W], by a matrix [2, 3] from image to input."""
    size_wh, flags = image_hw[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    return np.stack([cv2.warpAffine(one, matrix, size_wh, flags=flags, borderMode=border) for one in scores])


def read_value_maps(outputs: Arrays, looks: Sequence[Look], settings: Settings) -> list[Record]:
    """The numbers of every pixel of each image, from `values` [B, C, h, w].

    Args:
        outputs: of B images.
        looks: at the images.
        settings: `align_corners`, of all resizing; `values`, what the numbers may be, and `typical`, their size.
    """
    records: list[Record] = []
    for raw, look in zip(outputs["values"], looks, strict=True):
        maps = resize_like_torch(raw, look.pixels.shape[:2], settings["align_corners"])
        if look.matrix is None:
            height, width = look.content_hw
            maps = resize_like_torch(maps[:, :height, :width], look.image_hw, settings["align_corners"])
        else:
            maps = _at_image(maps, look.matrix, look.image_hw)
        records.append(ValueMap(_to_values(maps, settings["values"], settings["typical"])))
    return records


def _at_image(maps: ndarray, matrix: ndarray, image_hw: tuple[int, int]) -> ndarray:
    """Maps [C, h, w] of an input at the pixels of its image, [C, H, W], by a matrix [2, 3] that turns nothing."""
    assert matrix[0, 1] == matrix[1, 0] == 0, "views of whole images turn nothing"
    rows, columns = (
        neighbours(matrix[axis, axis] * np.arange(side) + matrix[axis, 2], length)
        for axis, side, length in ((1, image_hw[0], maps.shape[1]), (0, image_hw[1], maps.shape[2]))
    )
    return blend(maps, rows, columns)


def _to_values(maps: ndarray, values: str, typical: float) -> ndarray:
    """What outputs [C, H, W] stand for, float32."""
    if values == "unit_vector":
        return maps / np.maximum(np.linalg.norm(maps, axis=0), np.float32(1e-12))
    return np.float32(typical) * (np.exp(maps.clip(-MOST, MOST)) if values == "positive" else maps)


def read_categories(outputs: Arrays, looks: Sequence[Look], settings: Settings) -> list[Record]:
    """The class of each image, from `scores` [B, C]."""
    return [Category(int(scores.argmax()), scores) for scores in outputs["scores"]]


def read_people(outputs: Arrays, looks: Sequence[Look], settings: Settings) -> list[Record]:
    """The people of each image: `points` [B, P, K, 2], their `point_scores` [B, P, K], and `scores` [B, P].

    Args:
        outputs: of B images; whoever has the score 0 is nobody.
        looks: at the images.
        settings: of no use.
    """
    records: list[Record] = []
    for i, look in enumerate(looks):
        assert look.matrix is not None, "a view that warps"
        points = outputs["points"][i]
        points = geometry.transform_points(points, geometry.invert_affine(look.matrix))
        records.append(Objects(**collect_people(points, outputs["point_scores"][i], outputs["scores"][i])))
    return records


def read_tagged_people(outputs: Arrays, looks: Sequence[Look], settings: Settings) -> list[Record]:
    """The people of each image, from heatmaps and tags.

    Args:
        outputs: of B images, see `tagged.find_people`.
        looks: at the images.
        settings: see there.
    """
    records: list[Record] = []
    for i, look in enumerate(looks):
        assert look.matrix is not None, "a view that warps"
        own = {name: values[i] for name, values in outputs.items()}
        points, point_scores, scores = find_people(own, look.pixels.shape[:2], settings)
        points = geometry.transform_points(points, geometry.invert_affine(look.matrix))
        records.append(Objects(**collect_people(points, point_scores, scores)))
    return records


READ: dict[str, Callable[[Arrays, Sequence[Look], Settings], list[Record]]] = {
    "keypoints": read_keypoints,
    "objects": read_objects,
    "people": read_people,
    "tagged_people": read_tagged_people,
    "label_map": read_label_maps,
    "value_map": read_value_maps,
    "category": read_categories,
}


def finish_people(records: Sequence[Record], settings: Settings) -> Record:
    """The people of one picture: rescored, without duplicates, best first.

    Args:
        records: of its crops, whose scores are those of their boxes.
        settings: `score` is what ranks them: "box_keypoint", "box" or "keypoint"; `nms` how several poses of one person
            are treated: "oks", "soft" or None; and `sigmas`, `nms_threshold` and `keypoint_threshold`.
    """
    people = join(records)
    assert isinstance(people, Objects) and people.points is not None and people.point_scores is not None
    scores = np.asarray(people.scores, np.float64)
    if settings["score"] == "box_keypoint":
        scores = rescore(scores, people.point_scores, settings["keypoint_threshold"])
    elif settings["score"] == "keypoint":
        scores = people.point_scores.astype(np.float64).mean(axis=1)
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    if settings["nms"] is not None:
        assert people.areas is not None, "crops have areas"
        oks = pairwise_oks(people.points[order], people.areas[order], np.array(settings["sigmas"]))
        if settings["nms"] == "soft":
            kept, scores = soft_oks_nms(scores, oks, settings["nms_threshold"])
        else:
            kept = oks_nms(scores, oks, settings["nms_threshold"])
            scores = scores[kept]
        order = order[kept]
    return people.select(order)._replace(scores=scores)


FINISH: dict[str, Callable[[Sequence[Record], Settings], Record]] = {"PoseFinish": finish_people}
