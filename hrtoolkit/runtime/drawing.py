"""What was found, over its image: skeletons, boxes, masks, colors of classes, in plain OpenCV.

Convention: images are RGB uint8 [H, W, 3] and are never modified: a drawing function returns a new one. Points are
(x, y) in image pixels with pixel centres on integers; boxes are edges, x1 and y1 to x2 and y2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import cv2
import numpy as np

from .masks import Masks
from .records import Category, LabelMap, Record, ValueMap
from .sides import left_first

Color = tuple[int, int, int]
IGNORED = 255  # in label maps: nothing is known of this pixel

# Of the left and the right one of a mirrored pair, and of what has no partner.
LEFT, RIGHT, SINGLE = (255, 128, 0), (0, 160, 255), (60, 220, 60)
SUBPIXEL_BITS = 4  # OpenCV draws in fixed point: coordinates are given in 1/16 pixel
CAPTION_HEIGHT = 18
POINT_THRESHOLD, OBJECT_THRESHOLD = 0.2, 0.5  # points below are drawn faintly, objects below are not
FAINT = 0.35  # opacity
SHOWN_PERCENT = (1, 99)  # of the numbers of a map, that its colors tell apart
LEGEND_SHARE = 0.01  # of the pixels, that a class named in a picture has at least


class ClassNames(Protocol):
    """What drawing asks of a scheme."""

    @property
    def names(self) -> Sequence[str]:
        """Of the outputs."""
        ...

    @property
    def palette(self) -> Sequence[Color]:
        """RGB of each."""
        ...


class ValueNames(Protocol):
    """What drawing asks of a scheme of values."""

    @property
    def names(self) -> Sequence[str]:
        """Of the values."""
        ...

    @property
    def values(self) -> str:
        """What they may be: "any", "positive" or "unit_vector"."""
        ...

    @property
    def unit(self) -> str:
        """Of the values; empty where nobody says."""
        ...


class Skeleton(Protocol):
    """What drawing asks of a scheme of keypoints."""

    @property
    def names(self) -> Sequence[str]:
        """Of the keypoints."""
        ...

    @property
    def mirrored(self) -> Sequence[tuple[str, str]]:
        """Pairs of them."""
        ...

    def skeleton_indices(self) -> list[tuple[int, int]]:
        """The lines between them."""
        ...


def draw(image: np.ndarray, record: Record, scheme: Any) -> np.ndarray:
    """Draw a record over its image, truth and prediction alike; RGB uint8 [H, W, 3].

    Predicted points with a score up to 0.2 are faint; predicted objects without points and with one below 0.5 are left
    out. Who has an id has it on a box in a color of its own.

    Args:
        image: RGB uint8 [H, W, 3].
        record: in its pixels.
        scheme: of the record: `names`, and where there are points what `Skeleton` asks for.
    """
    if isinstance(record, LabelMap):
        return draw_label_map(image, record.label_map, scheme)
    if isinstance(record, ValueMap):
        return draw_value_map(image, record.values, scheme)
    if isinstance(record, Category):
        return draw_category(image, record.label, record.class_scores, scheme.names)
    if record.points is not None:
        if record.point_scores is not None:
            drawn = draw_predicted_points(image, record.points, record.point_scores, scheme)
            return drawn if record.ids is None else draw_ids(drawn, record.boxes_xyxy, record.ids)
        assert record.visible is not None, "points have scores where they are predicted, and are visible or not"
        return draw_keypoints(image, record.points, record.visible > 0, scheme)
    if record.scores is not None:
        record = record.select(record.scores >= OBJECT_THRESHOLD)
    masks = record.masks.draw() if isinstance(record.masks, Masks) else record.masks  # as an input has them
    return draw_objects(image, record.boxes_xyxy, record.labels, record.scores, masks, scheme.names, record.ids)


def draw_ids(image: np.ndarray, boxes_xyxy: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Draw boxes [N, 4] of who has an id [N] above 0, each in the color of the id."""
    known = ids > 0
    numbers = ids[known].tolist()
    return draw_boxes(image, boxes_xyxy[known], [f"#{one}" for one in numbers], [own_color(one) for one in numbers])


def draw_tails(image: np.ndarray, ways: Mapping[int, np.ndarray]) -> np.ndarray:
    """Draw where somebody was as a line in the color of their id, thinner the longer ago.

    Args:
        image: RGB uint8 [H, W, 3].
        ways: points [T, 2] by id, the last one where they are now.
    """
    canvas = copy_image(image)
    reach, width = 4 * max(canvas.shape[:2]), max(2, round(max(canvas.shape[:2]) / 150))
    for number, way in ways.items():
        known = way[np.isfinite(way).all(axis=-1)].clip(-reach, reach)
        points = np.rint(known * 2**SUBPIXEL_BITS).astype(int).tolist()
        for place, (start, end) in enumerate(pairwise(points), start=1):
            thickness = max(1, round(width * place / (len(points) - 1)))
            cv2.line(canvas, start, end, own_color(number), thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    return canvas


def draw_predicted_points(image: np.ndarray, points: np.ndarray, scores: np.ndarray, scheme: Skeleton) -> np.ndarray:
    """Draw people whose points [N, K, 2] have scores [N, K]: those up to 0.2 are faint."""
    faint = draw_keypoints(image, points, np.ones(scores.shape, np.bool_), scheme)
    image = cv2.addWeighted(image, 1 - FAINT, faint, FAINT, 0)
    return draw_keypoints(image, points, scores > POINT_THRESHOLD, scheme)


def draw_objects(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray | None,
    masks: np.ndarray | None,
    class_names: Sequence[str],
    ids: np.ndarray | None = None,
) -> np.ndarray:
    """Draw objects: boxes with names, and their pixels.

    Args:
        image: RGB uint8 [H, W, 3].
        boxes_xyxy: [N, 4].
        labels: [N].
        scores: [N], or None.
        masks: bool [N, H, W], or None.
        class_names: by label.
        ids: [N], or None; who has one above 0 has its color instead of the class's.
    """
    if masks is not None:
        image = draw_instances(image, masks)
    names = [class_names[label] for label in labels]
    if scores is not None:
        names = [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]
    colors = [own_color(label) for label in labels.tolist()]
    for place, number in enumerate(() if ids is None else ids.tolist()):
        if number > 0:
            names[place], colors[place] = f"#{number} {names[place]}", own_color(number)
    return draw_boxes(image, boxes_xyxy, names, colors)


def own_color(number: int) -> Color:
    """A bright color for the boxes of a class or id; those of neighbouring numbers differ."""
    hue = np.array([[[(25 + 77 * number) % 180, 190, 255]]], np.uint8)
    red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def draw_label_map(image: np.ndarray, label_map: np.ndarray, scheme: ClassNames, opacity: float = 0.6) -> np.ndarray:
    """Color an image by its classes, and name those that cover a hundredth of it; what is ignored keeps its own color.

    Pictures below 100 pixels have no room for names.

    Args:
        image: RGB uint8 [H, W, 3].
        label_map: class indices uint8 [H, W].
        scheme: has the colors.
        opacity: of the colors.
    """
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(scheme.names)] = scheme.palette
    mixed = cv2.addWeighted(image, 1 - opacity, palette[label_map], opacity, 0)
    drawn = np.where((label_map == IGNORED)[..., None], image, mixed)
    counts = np.bincount(label_map.ravel(), minlength=256)[: len(scheme.names)]
    side, top = max(image.shape[:2]), 0
    for label in np.argsort(-counts, kind="stable").tolist():
        if min(image.shape[:2]) < 100 or counts[label] < LEGEND_SHARE * label_map.size or top > image.shape[0] / 2:
            break
        color = scheme.palette[label]
        ink = (0, 0, 0) if np.dot(color, (0.299, 0.587, 0.114)) > 110 else (255, 255, 255)
        top += _write_text(drawn, scheme.names[label], (0, top), background=color, color=ink, scale=side / 1600)
    return drawn


def draw_value_map(image: np.ndarray, values: np.ndarray, scheme: ValueNames) -> np.ndarray:
    """Show numbers in place of an image, which stays faint where nothing is known.

    Unit vectors of three numbers v are the color (v + 1) / 2. Of others each number has a picture of its own, side by
    side: the larger the brighter, with the range that is shown; of positive ones equal factors look alike.

    Args:
        image: RGB uint8 [H, W, 3].
        values: float32 [C, H, W]; NaN where nothing is known.
        scheme: what they are.
    """
    faint = cv2.convertScaleAbs(image, alpha=FAINT)
    if scheme.values == "unit_vector" and len(values) == 3:
        known = np.isfinite(values).all(axis=0)
        colors = (np.where(known, values, 0) + 1).transpose(1, 2, 0) * 127.5
        return np.where(known[..., None], np.rint(colors).clip(0, 255).astype(np.uint8), faint)
    pictures = []
    for name, numbers in zip(scheme.names, values, strict=True):
        known = np.isfinite(numbers)
        if not known.any():
            pictures.append(draw_text(faint, f"{name}: nothing is known"))
            continue
        low, high = np.percentile(numbers[known], SHOWN_PERCENT).tolist()
        shown, ends = np.where(known, numbers, low), np.array([low, high])
        if scheme.values == "positive":
            shown, ends = np.log(np.maximum(shown, 1e-12)), np.log(np.maximum(ends, 1e-12))
        levels = (shown - ends[0]) * (255 / max(ends[1] - ends[0], 1e-12))
        colors = cv2.applyColorMap(np.rint(levels).clip(0, 255).astype(np.uint8), cv2.COLORMAP_MAGMA)[..., ::-1]
        told = f"{name} {low:.3g} to {high:.3g} {scheme.unit}".rstrip()
        pictures.append(draw_text(np.where(known[..., None], colors, faint), told))
    return np.hstack(pictures)


def draw_category(
    image: np.ndarray, label: int, class_scores: np.ndarray | None, class_names: Sequence[str]
) -> np.ndarray:
    """Draw an image with its class, or with the five classes of the highest scores beside it; RGB uint8 [288, ., 3].

    Args:
        image: RGB uint8 [H, W, 3].
        label: of the class.
        class_scores: [C], or None.
        class_names: [C].
    """
    names = dict(enumerate(class_names))  # data of numbered classes may know fewer than a network predicts
    tile = make_sheet([image], tile_hw=(288, 320))
    if class_scores is None:
        return draw_text(tile, names[label])
    panel = np.full((288, 320, 3), 24, np.uint8)
    for row, index in enumerate(np.argsort(-class_scores, kind="stable")[:5].tolist()):
        score, top = float(class_scores[index]), 40 + 44 * row
        text = f"{score:.0%} {names.get(index, index)}"
        cv2.putText(panel, text, (12, top), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
        length = int(296 * score) if np.isfinite(score) else 0
        cv2.rectangle(panel, (12, top + 6), (12 + length, top + 12), (60, 200, 60), -1)
    return np.hstack([tile, panel])


def draw_keypoints(
    image: np.ndarray, keypoints: np.ndarray, visible: np.ndarray, scheme: Skeleton, color: Color | None = None
) -> np.ndarray:
    """Draw people as lines and dots; a line needs both of its ends.

    Args:
        image: RGB uint8 [H, W, 3].
        keypoints: [N, K, 2]; points that are not finite, or lie far outside the image, are left out.
        visible: [N, K] bool, which keypoints to draw.
        scheme: names the lines and, through its mirrored pairs, the two sides.
        color: one color for everything instead of one a side.

    Raises:
        ValueError: the image is of another kind, or the shapes disagree with the scheme.
    """
    canvas = copy_image(image)
    keypoints = np.asarray(keypoints, dtype=np.float64)
    visible = np.asarray(visible, dtype=bool)
    count = len(scheme.names)
    if keypoints.ndim != 3 or keypoints.shape[1:] != (count, 2) or visible.shape != keypoints.shape[:2]:
        raise ValueError(
            f"keypoints should be [N, {count}, 2] and visible [N, {count}] in a scheme of {count} names, "
            f"got {list(keypoints.shape)} and {list(visible.shape)}"
        )
    left, right = ({pair[side] for pair in left_first(scheme.mirrored)} for side in (0, 1))
    side_colors = [LEFT if name in left else RIGHT if name in right else SINGLE for name in scheme.names]
    # Four image sides away nothing shows any more, and OpenCV's integers would overflow before long.
    reach = 4 * max(canvas.shape[:2])
    with np.errstate(invalid="ignore"):
        drawn = visible & (np.abs(keypoints) < reach).all(axis=-1)
    width = max(1, round(max(canvas.shape[:2]) / 250))
    fixed_points = np.where(drawn[..., None], np.rint(keypoints * 2**SUBPIXEL_BITS), 0).astype(int).tolist()
    radius = int(1.5 * width * 2**SUBPIXEL_BITS)
    for points, shown in zip(fixed_points, drawn, strict=True):
        for a, b in scheme.skeleton_indices():
            if shown[a] and shown[b]:
                line_color = color or (side_colors[a] if side_colors[a] == side_colors[b] else SINGLE)
                cv2.line(canvas, points[a], points[b], line_color, width, cv2.LINE_AA, SUBPIXEL_BITS)
        for index in np.flatnonzero(shown):
            dot_color = color or side_colors[index]
            cv2.circle(canvas, points[index], radius, dot_color, -1, cv2.LINE_AA, SUBPIXEL_BITS)
    return canvas


def draw_boxes(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    names: Sequence[str] | None = None,
    colors: Sequence[Color] | Color = (255, 230, 0),
) -> np.ndarray:
    """Draw boxes, each with its name at the upper left corner.

    Args:
        image: RGB uint8 [H, W, 3].
        boxes_xyxy: [N, 4]; those that are not finite are left out.
        names: [N], or None.
        colors: [N], or one for all.
    """
    canvas = copy_image(image)
    boxes = np.asarray(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
    if names is not None and len(names) != len(boxes):
        raise ValueError(f"{len(names)} names for {len(boxes)} boxes")
    colors = [colors] * len(boxes) if isinstance(colors, tuple) else colors
    side = max(canvas.shape[:2])
    reach, width = 4 * side, max(1, round(side / 400))
    for index in reversed(range(len(boxes))):  # the first on top: it is the best
        if not np.isfinite(boxes[index]).all():
            continue
        # The box covers whole pixels: its last one is a pixel before x2.
        x1, y1, x2, y2 = np.round(np.clip(boxes[index] - [0, 0, 1, 1], -reach, reach)).astype(int).tolist()
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colors[index], width)
        if names is not None:
            _write_text(canvas, names[index], (x1, y1), background=colors[index], scale=side / 1600, above=True)
    return canvas


def draw_text(image: np.ndarray, text: str) -> np.ndarray:
    """Write a line into the upper left corner of an image, RGB uint8 [H, W, 3]."""
    canvas = copy_image(image)
    _write_text(canvas, text, (0, 0), background=(255, 230, 0))
    return canvas


def draw_instances(image: np.ndarray, masks: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Tint the pixels of each object in another color, the last one on top.

    Args:
        image: RGB uint8 [H, W, 3].
        masks: bool [N, H, W].
        opacity: of the tint, 0 to 1.
    """
    canvas = copy_image(image)
    for index, mask in enumerate(np.asarray(masks, dtype=bool)):
        # Hues a golden angle apart, so that neighbours in the list differ.
        hue = np.array([[[index * 111 % 180, 200, 255]]], np.uint8)
        color = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0]
        canvas[mask] = (canvas[mask] * (1 - opacity) + color * opacity).astype(np.uint8)
    return canvas


def make_sheet(
    images: Sequence[np.ndarray],
    columns: int = 4,
    tile_hw: tuple[int, int] | None = None,
    captions: Sequence[str] | None = None,
) -> np.ndarray:
    """Lay images out in rows of `columns` tiles on a dark ground.

    Each image is scaled to fit its tile with its aspect kept, and centred. Tiles measure `tile_hw`, by default the
    largest height and width among the images; captions add a line of CAPTION_HEIGHT pixels under every tile.
    """
    images = [copy_image(image) for image in images]
    if not images or columns < 1:
        raise ValueError(f"a sheet needs an image and a column, got {len(images)} images and {columns} columns")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} images")
    height, width = tile_hw or tuple(max(image.shape[axis] for image in images) for axis in (0, 1))
    step = height + (CAPTION_HEIGHT if captions is not None else 0)
    columns = min(columns, len(images))
    sheet = np.full((-(-len(images) // columns) * step, columns * width, 3), 24, np.uint8)
    for index, image in enumerate(images):
        scale = min(height / image.shape[0], width / image.shape[1])
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        if scale != 1:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        tile_top, tile_left = index // columns * step, index % columns * width
        top, left = tile_top + (height - size[1]) // 2, tile_left + (width - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = image
        if captions is not None:
            line = np.full((CAPTION_HEIGHT, width, 3), 24, np.uint8)  # a buffer of its own cuts long captions
            _write_text(line, captions[index], (0, 2), background=(24, 24, 24), color=(235, 235, 235))
            sheet[tile_top + height : tile_top + step, tile_left : tile_left + width] = line
    return sheet


def copy_image(image: np.ndarray) -> np.ndarray:
    """A copy to draw on.

    Raises:
        ValueError: it is no RGB uint8 array [H, W, 3].
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"an image should be an RGB uint8 array [H, W, 3], got {kind}")
    return np.array(image, order="C")


def _write_text(
    canvas: np.ndarray,
    text: str,
    top_left: tuple[int, int],
    background: Color,
    color: Color = (0, 0, 0),
    scale: float = 0.0,
    above: bool = False,
) -> int:
    """Write a line on its own ground, inside the canvas as far as it fits, and give its height.

    Args:
        canvas: is written on.
        text: what it says; OpenCV shows ? in place of what is not ASCII.
        top_left: corner (x, y).
        background: of the ground.
        color: of the letters.
        scale: of OpenCV's font, 0.4 at least.
        above: put the line over the corner where there is room.
    """
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.4)
    thickness = max(1, round(1.5 * scale))
    (width, height), baseline = cv2.getTextSize(text, font, scale, thickness)
    x = max(0, min(top_left[0], canvas.shape[1] - width - 2))
    y = max(0, top_left[1] - (height + baseline if above else 0))
    cv2.rectangle(canvas, (x, y), (x + width + 2, y + height + baseline), background, -1)
    cv2.putText(canvas, text, (x + 2, y + height + 1), font, scale, color, thickness, cv2.LINE_AA)
    return height + baseline
