"""Drawn scenes: a few people on a textured ground, or one person.

Masks, boxes and visibilities follow from rasterising the same parts that are painted. A mirrored scene is a valid
scene.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from hrtoolkit.toy.people import (
    CLASSES,
    FACE_MARKS,
    KEYPOINTS,
    SUBPIXEL_BITS,
    Figure,
    Part,
    draw_outline,
    make_person,
    to_fixed_point,
)
from hrtoolkit.toy.surfaces import add_surface_, distance_of, make_wall

# The parts that show a keypoint: it is visible where one of them is the front-most thing at its pixel.
SHOWN_BY = dict.fromkeys(FACE_MARKS, FACE_MARKS) | {
    f"{side}_{joint}": tuple(part.format(side) for part in parts)
    for side in ("left", "right")
    for joint, parts in {
        "ear": ("{}_ear",),
        "shoulder": ("torso", "{}_upper_arm"),
        "elbow": ("{}_upper_arm", "{}_forearm"),
        "wrist": ("{}_forearm", "{}_hand"),
        "hip": ("torso", "left_thigh", "right_thigh"),
        "knee": ("{}_thigh", "{}_shin"),
        "ankle": ("{}_shin", "{}_foot"),
    }.items()
}

# Values of label maps, and what each part belongs to; a crowd and its surroundings have one value.
LABELS = ("background", "head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
UNLABELLED = 255
LABEL_OF = {"torso": "torso", "obstacle": "background"}
LABEL_OF |= dict.fromkeys((*FACE_MARKS, "left_ear", "right_ear", "neck", "skull", "face"), "head")
for _side in ("left", "right"):
    LABEL_OF |= dict.fromkeys((f"{_side}_upper_arm", f"{_side}_forearm", f"{_side}_hand"), f"{_side}_arm")
    LABEL_OF |= dict.fromkeys((f"{_side}_thigh", f"{_side}_shin", f"{_side}_foot"), f"{_side}_leg")


@dataclass(frozen=True)
class Scene:
    """An image, RGB uint8 [H, W, 3], its COCO annotations, still without `id` and `image_id`, and its maps.

    Labels, uint8 [H, W], are positions in LABELS; a crowd is UNLABELLED. Depth, float32 [H, W], is in metres, normals
    are float32 [H, W, 3], see `hrtoolkit.toy.surfaces`; of a crowd they are NaN.
    """

    image: np.ndarray
    annotations: list[dict]
    labels: np.ndarray
    depth: np.ndarray
    normals: np.ndarray


def make_scene(rng: np.random.Generator, size_hw: tuple[int, int] | None = None) -> Scene:
    """Compose 1 to 4 people, now and then a crowd and things in front of them, on a textured ground.

    A person of whom less than three fifths would show is left out, so that a scene may (seldom) hold nobody.

    Args:
        rng: source of every choice.
        size_hw: height and width of the image, by default 256 to 416 pixels each.
    """
    height, width = (int(side) for side in (size_hw or rng.integers(256, 417, size=2)))
    image = draw_background(rng, height, width)
    background = np.array(cv2.mean(image)[:3])
    people = 1 + rng.choice(4, p=(0.4, 0.35, 0.17, 0.08))
    heights = 75 * (0.98 * height / 75) ** (rng.random(people) ** 0.8)
    # Near to far: a taller person is nearer, a crowd is far away.
    figures = [
        replace(
            _place(rng, make_person(rng, tall, background), height, width), distance=distance_of(tall, (height, width))
        )
        for tall in sorted(heights)[::-1]
    ]
    if rng.random() < 0.2:
        place = rng.integers(len(figures))
        obstacle = _make_obstacle(rng, figures, height + width)
        between = [figure.distance for figure in figures[max(place - 1, 0) : place + 1]]
        figures.insert(place, replace(obstacle, distance=0.9 * between[0] if place == 0 else float(np.mean(between))))
    if rng.random() < 0.1:
        figures.append(_make_crowd(rng, background, height, width))

    annotations, drawn = [], []
    taken = np.zeros((height, width), bool)
    labels = np.zeros((height, width), np.uint8)
    depth, normals = make_wall(height, width)
    for figure in figures:
        part_map = _rasterise(figure, height, width)
        silhouette = part_map > 0
        visible = silhouette & ~taken
        if figure.crowd or figure.keypoints is not None:
            if np.count_nonzero(visible) < max(0.6 * np.count_nonzero(silhouette), 100):
                continue
            annotations.append(_annotate(figure, part_map, visible))
        taken |= silhouette
        drawn.append(figure)
        values = [UNLABELLED if figure.crowd else LABELS.index(LABEL_OF[part.name]) for part in figure.parts]
        labels[visible] = np.array([0, *values], np.uint8)[part_map[visible]]
        add_surface_(depth, normals, figure, part_map, visible)

    for figure in reversed(drawn):
        paint_(image, figure)
    return Scene(_expose(rng, image), annotations, labels, depth, normals)


def make_portrait(rng: np.random.Generator, class_name: str, size: int = 128) -> np.ndarray:
    """Draw one person of a class of CLASSES on a textured ground, RGB uint8 [size, size, 3].

    Args:
        rng: source of every other choice.
        class_name: pose and side.
        size: of the square image, in pixels.
    """
    pose, yaw_degrees = CLASSES[class_name]
    image = draw_background(rng, size, size)
    background = np.array(cv2.mean(image)[:3])
    yaw_degrees = yaw_degrees + np.clip(rng.normal(0, 20), -40, 40)
    person = make_person(rng, size * rng.uniform(0.65, 0.85), background, yaw_degrees, pose)
    low, high = person.bounds()
    paint_(image, person.moved(size / 2 - (low + high) / 2 + rng.uniform(-0.05, 0.05, 2) * size))
    return _expose(rng, image)


def _expose(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image as a camera gives it, a little darker or brighter and with noise."""
    noise = rng.standard_normal(image.shape[:2], dtype=np.float32) * np.float32(rng.uniform(1, 5))
    image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.7, 1.1))
    return cv2.add(image, cv2.merge([noise.astype(np.int16)] * 3), dtype=cv2.CV_8U)


def _place(rng: np.random.Generator, figure: Figure, height: int, width: int) -> Figure:
    """Move a figure to a random place inside the image; one in four may stick out by up to 35 % of its size."""
    low, high = figure.bounds()
    size = high - low
    slack = size * 0.3 if rng.random() < 0.15 else np.zeros(2)
    room = np.maximum((width, height) - size, 0) + 2 * slack
    return figure.moved(rng.random(2) * room - slack - low)


def _make_obstacle(rng: np.random.Generator, figures: list[Figure], reach: int) -> Figure:
    """A pole, a box or a disc, placed at a keypoint of somebody and measured by that person's size."""
    person = figures[rng.integers(len(figures))]
    assert person.keypoints is not None
    center = person.keypoints[rng.integers(len(KEYPOINTS))]
    low, high = person.bounds()
    half = rng.uniform(0.05, 0.14, 2) * (high - low).max()
    kind = rng.choice(["pole", "box", "disc"])
    if kind == "pole":
        half = np.array((0.4 * half[0], reach))
    corners = center + half * ((-1, -1), (1, -1), (1, 1), (-1, 1))
    outline = draw_outline(center[None], half[:1]) if kind == "disc" else corners
    return Figure([Part("obstacle", outline, rng.uniform(20, 235, 3))])


def _make_crowd(rng: np.random.Generator, background: np.ndarray, height: int, width: int) -> Figure:
    """Small figures side by side, the lower ones in front, as one thing without keypoints."""
    people = []
    for _ in range(rng.integers(8, 17)):
        offset = rng.normal(0, 1, 2) * (35, 8)
        people.append((offset[1], make_person(rng, rng.uniform(35, 55), background).moved(offset)))
    people.sort(key=lambda person: person[0])
    clump = Figure([part for _, person in people for part in person.parts], crowd=True)
    return _place(rng, clump, height, width)


def draw_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth noise around one color, with stripes, blobs or a gradient on top; RGB uint8 [H, W, 3]."""
    base = rng.uniform(50, 205, 3)
    cells = rng.integers(2, 9, size=2)
    noise = base + rng.normal(0, 15, (*cells, 3))
    ground = cv2.resize(noise.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    texture = rng.integers(4)
    if texture == 0:  # stripes
        angle, period = rng.uniform(0, np.pi), rng.uniform(12, 60)
        y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
        phase = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * np.float32(2 * np.pi / period)
        ground += np.sin(phase)[..., None] * rng.uniform(-22, 22, 3).astype(np.float32)
    elif texture == 1:  # from top to bottom
        ramp = np.linspace(-1, 1, height)[:, None, None] * rng.uniform(-45, 45, 3)
        ground += ramp.astype(np.float32)
    image = np.clip(ground, 0, 255, out=ground).astype(np.uint8)
    if texture == 2:  # blobs
        for _ in range(rng.integers(3, 12)):
            center = rng.random(2) * (width, height)
            blob = draw_outline(center + rng.normal(0, 18, (3, 2)), rng.uniform(3, 24, 3))
            paint_(image, Figure([Part("blob", blob, base + rng.normal(0, 25, 3))]))
    return image


def paint_(image: np.ndarray, figure: Figure) -> None:
    """Paint the parts over the image, each with a darker rim that sets it off from parts of the same color."""
    for part in figure.parts:
        points = to_fixed_point(part.outline)
        cv2.fillConvexPoly(image, points, part.color.tolist(), cv2.LINE_AA, SUBPIXEL_BITS)
        if part.name not in FACE_MARKS:
            cv2.polylines(image, [points], True, (0.6 * part.color).tolist(), 1, cv2.LINE_AA, SUBPIXEL_BITS)


def _rasterise(figure: Figure, height: int, width: int) -> np.ndarray:
    """Which part is in front at each pixel, int16 [H, W]: its index plus one, 0 outside the figure."""
    part_map = np.zeros((height, width), np.int16)
    for index, part in enumerate(figure.parts, start=1):
        cv2.fillConvexPoly(part_map, to_fixed_point(part.outline), index, cv2.LINE_8, SUBPIXEL_BITS)
    return part_map


def _annotate(figure: Figure, part_map: np.ndarray, visible: np.ndarray) -> dict:
    """COCO's record of a person or a crowd whose `visible` pixels [H, W] show.

    A keypoint in the image is labelled: 2 where it shows, 1 where something (also the own body) hides it. Outside the
    image it is 0, 0, 0.
    """
    height, width = visible.shape
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    keypoints: list[float] = []
    for index, name in enumerate(KEYPOINTS):
        x, y = (-1.0, -1.0) if figure.crowd or figure.keypoints is None else figure.keypoints[index].tolist()
        if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
            keypoints += [0, 0, 0]
            continue
        pixel = round(y), round(x)
        shown = visible[pixel] and figure.parts[part_map[pixel] - 1].name in SHOWN_BY[name]
        keypoints += [round(x, 1), round(y, 1), 2 if shown else 1]
    return {
        "category_id": 1,
        "iscrowd": int(figure.crowd),
        "segmentation": _encode_runs(visible) if figure.crowd else _trace_polygons(visible, box),
        "area": int(visible.sum()),
        "bbox": [float(value) for value in box],
        "keypoints": keypoints,
        "num_keypoints": sum(flag > 0 for flag in keypoints[2::3]),
    }


def _trace_polygons(mask: np.ndarray, box_xywh: list[int]) -> list[list[float]]:
    """Outer contours of a mask [H, W] as COCO polygons, in which pixel i reaches from i to i + 1."""
    left, top, width, height = box_xywh
    # A contour runs through pixel centres and would lose half a pixel all around, much of a thin arm; at twice the
    # resolution it runs a quarter of a pixel inside the edge, and pycocotools gives back exactly the mask.
    double = np.repeat(np.repeat(mask[top : top + height, left : left + width].astype(np.uint8), 2, 0), 2, 1)
    contours, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [((c[:, 0] + 0.5) / 2 + (left, top)).ravel().tolist() for c in contours if len(c) >= 3]


def _encode_runs(mask: np.ndarray) -> dict:
    """COCO's uncompressed run lengths: columns from top to bottom, beginning with a (maybe empty) run of zeros."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"counts": counts, "size": list(mask.shape)}
