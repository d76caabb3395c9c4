"""The toy world: drawn people, in COCO's format or sorted into classes, so that all can be tried without a download.

A figure is a list of convex parts, painted from far to near. A scene holds a few figures on a textured ground; its
masks, boxes and visibilities follow from rasterising the same parts. Everything is drawn symmetrically: only the way a
person faces tells left from right, as in photographs, so a mirrored scene is a valid scene.

Convention: points are (x, y) in image pixels with pixel centres on integers. Bodies live in camera axes, x to the
right, y down, z towards the viewer, in units of the standing height; a person with yaw 0 looks at the viewer, so that
the left hand is at positive x. The camera is orthographic.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from hrtoolkit.errors import DataError
from hrtoolkit.files import write_atomically
from hrtoolkit.visualization import write_image

logger = logging.getLogger(__name__)

VERSION = 2  # raise it when the same seed draws other pictures, or other files come with them
SPLITS = ("train2017", "val2017")
FIRST_IMAGE_ID = {"train2017": 1, "val2017": 500_001}  # ids depend on no count

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
SKELETON = (  # COCO's lines, counted from 1
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip

SKIN = ((247, 214, 186), (228, 180, 143), (196, 143, 104), (148, 98, 66), (104, 68, 46))
HAIR = ((30, 24, 22), (74, 48, 30), (120, 78, 40), (190, 150, 84), (140, 138, 136))

Range = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, each drawn between its bounds; by default those of somebody who stands around.

    Limbs hang at 0; abduction leads outwards, swing leads forwards. The elbow adds to the swing of the arm, the
    forearm to its abduction, the knee takes from the swing of the leg.
    """

    pitch: Range = (-3, 8)
    roll: Range = (-4, 4)
    arm: Range = (4, 25)
    arm_swing: Range = (-15, 25)
    forearm: Range = (-30, 10)
    elbow: Range = (0, 50)
    leg: Range = (1, 9)
    leg_swing: Range = (-6, 8)
    knee: Range = (0, 8)


RAISED = Pose(arm=(75, 165), arm_swing=(-15, 30), forearm=(-20, 80), elbow=(0, 20))
STANDING = Pose()
WALKING = Pose(pitch=(0, 12), arm_swing=(-35, 40), elbow=(5, 70), leg_swing=(-28, 30), knee=(0, 50))
SITTING = Pose(arm_swing=(10, 50), elbow=(10, 80), leg=(3, 22), leg_swing=(65, 95), knee=(65, 100))
BENT = Pose(pitch=(25, 60), arm_swing=(0, 60), leg=(2, 14), leg_swing=(-10, 15), knee=(0, 20))
LEANING = Pose(roll=(-28, 28), arm=(5, 60), leg=(2, 24), knee=(0, 30))
POSES = (STANDING, STANDING, STANDING, WALKING, WALKING, RAISED, SITTING, BENT, LEANING)  # equally likely
# Classes of people, by pose and by where they look: 0 degrees at the viewer, 180 away.
CLASSES = {
    f"{pose_name}_{side}": (pose, yaw_degrees)
    for pose_name, pose in (("arms_up", RAISED), ("bent", BENT), ("sitting", SITTING), ("standing", STANDING))
    for side, yaw_degrees in (("back", 180), ("front", 0))
}

# The parts that show a keypoint: it is visible where one of them is the front-most thing at its pixel.
FACE_MARKS = ("nose", "left_eye", "right_eye")
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

# Values of label maps, and what each part belongs to; a crowd and its surroundings are not told apart.
LABELS = ("background", "head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
UNLABELLED = 255
LABEL_OF = {"torso": "torso", "obstacle": "background"}
LABEL_OF |= dict.fromkeys((*FACE_MARKS, "left_ear", "right_ear", "neck", "skull", "face"), "head")
for _side in ("left", "right"):
    LABEL_OF |= dict.fromkeys((f"{_side}_upper_arm", f"{_side}_forearm", f"{_side}_hand"), f"{_side}_arm")
    LABEL_OF |= dict.fromkeys((f"{_side}_thigh", f"{_side}_shin", f"{_side}_foot"), f"{_side}_leg")

# Rotations, as the axis that turns towards another one: a turn to the right edge of the image, a bow forwards, and a
# fall to the right edge.
YAW, PITCH, ROLL = (2, 0), (2, 1), (0, 1)
CIRCLE = np.array([(np.cos(t), np.sin(t)) for t in np.linspace(0, 2 * np.pi, 16, endpoint=False)])
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Part:
    """A convex patch of one colour."""

    name: str
    outline: np.ndarray  # [M, 2]
    color: np.ndarray  # RGB, 0 to 255


@dataclass(frozen=True)
class Figure:
    """Something drawn: parts from far to near, and keypoints [17, 2] if it is a person."""

    parts: list[Part]
    keypoints: np.ndarray | None = None
    crowd: bool = False

    def moved(self, shift: np.ndarray) -> Figure:
        parts = [Part(part.name, part.outline + shift, part.color) for part in self.parts]
        return Figure(parts, None if self.keypoints is None else self.keypoints + shift, self.crowd)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        points = np.concatenate([part.outline for part in self.parts])
        return points.min(axis=0), points.max(axis=0)


@dataclass(frozen=True)
class Scene:
    """An image, RGB uint8 [H, W, 3], its COCO annotations, still without `id` and `image_id`, and its label map.

    Labels, uint8 [H, W], are positions in LABELS; a crowd is UNLABELLED.
    """

    image: np.ndarray
    annotations: list[dict]
    labels: np.ndarray


# ------------------------------------------------------------------------------------------------------ one person


def make_person(
    rng: np.random.Generator,
    height: float,
    background: np.ndarray,
    yaw_degrees: float | None = None,
    pose: Pose | None = None,
) -> Figure:
    """Draw the shape, pose and clothes of a person who would stand `height` pixels tall; the hips are at (0, 0).

    Args:
        rng: source of every choice.
        height: in pixels.
        background: mean RGB colour of the ground, which clothes stay away from.
        yaw_degrees: 0 looks at the viewer, 180 away; by default one of the two, mostly within 30 degrees.
        pose: one of POSES; by default any.
    """
    pose = pose or POSES[rng.integers(len(POSES))]
    if yaw_degrees is None:
        yaw_degrees = 180 * (rng.random() < 0.25) + np.clip(rng.normal(0, 20), -60, 60)
    yaw = _rotation(YAW, yaw_degrees)
    head_yaw = _rotation(YAW, yaw_degrees + rng.uniform(-20, 20))
    pitch_degrees = rng.uniform(*pose.pitch)
    stature = rng.uniform(0.92, 1.08, size=4)  # head, trunk, arms, legs
    girth = rng.uniform(0.85, 1.3)
    skin, hair = (np.array(palette[rng.integers(len(palette))]) for palette in (SKIN, HAIR))
    shirt, trousers = (_pick_color(rng, away_from=background) for _ in range(2))
    shoes = _pick_color(rng, away_from=background) * 0.5
    sleeves, legs = (skin if rng.random() < 0.4 else cloth for cloth in (shirt, trousers))

    points = {}  # name -> [3], in standing heights
    patches = []  # name of the part, names of its points, their radii, its colour, how much nearer it counts

    def add(name: str, ends: tuple[str, ...], radii: tuple[float, ...], color: np.ndarray, nearer: float = 0) -> None:
        patches.append((name, ends, radii, color, nearer))

    # Trunk and head.
    bend = yaw @ _rotation(PITCH, pitch_degrees)
    neck = bend @ (0, -0.30 * stature[1], 0)
    head_axes = head_yaw @ _rotation(PITCH, 0.5 * pitch_degrees + rng.uniform(-8, 12))
    radius = 0.078 * stature[0]
    head = neck + head_axes @ (0, -0.055 - radius, 0.01)
    points |= {"neck": neck, "head": head}
    face_points = {"face": (0, 0.14, 0.3), "nose": (0, 0.18, 1.05), "crown": (0, -0.1, -0.1)}
    for side, sign in (("left", 1), ("right", -1)):
        face_points |= {f"{side}_eye": (sign * 0.4, -0.12, 0.9), f"{side}_ear": (sign * 1.02, 0.08, 0)}
        points[f"{side}_shoulder"] = neck + bend @ (sign * 0.105 * girth**0.5, 0.02, 0)
        points[f"{side}_hip"] = yaw @ (sign * 0.062 * girth**0.5, 0, 0)
        add(f"{side}_eye", (f"{side}_eye",), (0.19 * radius,), np.array((25, 25, 30)))
        add(f"{side}_ear", (f"{side}_ear",), (0.26 * radius,), 0.85 * skin, 0.002)
    points |= {name: head + radius * (head_axes @ offset) for name, offset in face_points.items()}
    add("neck", ("neck", "head"), (0.034 * girth, 0.03), skin, -0.06)  # head and collar cover its ends
    add("skull", ("head", "crown"), (0.98 * radius, 0.98 * radius), hair)
    add("face", ("face",), (0.84 * radius,), skin)
    add("nose", ("nose",), (0.17 * radius,), 0.7 * skin)
    corners = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    add("torso", corners, (0.036 * girth,) * 2 + (0.05 * girth,) * 2, shirt)

    # Limbs.
    for side, sign in (("left", 1), ("right", -1)):
        arm_pose = RAISED if rng.random() < 0.12 else pose
        arm, arm_swing = rng.uniform(*arm_pose.arm), rng.uniform(*arm_pose.arm_swing)
        leg, leg_swing = rng.uniform(*pose.leg), rng.uniform(*pose.leg_swing)
        forearm_angles = arm + rng.uniform(*arm_pose.forearm), arm_swing + rng.uniform(*arm_pose.elbow)
        forearm_direction = yaw @ _hang(sign, *forearm_angles)
        shin_direction = yaw @ _hang(sign, 0.5 * leg, leg_swing - rng.uniform(*pose.knee))
        points[f"{side}_elbow"] = points[f"{side}_shoulder"] + yaw @ _hang(sign, arm, arm_swing) * 0.165 * stature[2]
        points[f"{side}_wrist"] = points[f"{side}_elbow"] + forearm_direction * 0.15 * stature[2]
        points[f"{side}_finger"] = points[f"{side}_wrist"] + forearm_direction * 0.045
        points[f"{side}_knee"] = points[f"{side}_hip"] + yaw @ _hang(sign, leg, leg_swing) * 0.235 * stature[3]
        points[f"{side}_ankle"] = points[f"{side}_knee"] + shin_direction * 0.225 * stature[3]
        points[f"{side}_toe"] = points[f"{side}_ankle"] + shin_direction * 0.028 + yaw @ (sign * 0.01, 0, 0.07)
        # A hanging arm lies beside the trunk, not inside it: on its near face, in front and back views alike.
        upper_arm, lower_arm = (0.036 * girth, 0.031 * girth), (0.030 * girth, 0.024 * girth)
        add(f"{side}_upper_arm", (f"{side}_shoulder", f"{side}_elbow"), upper_arm, shirt, 0.03)
        add(f"{side}_forearm", (f"{side}_elbow", f"{side}_wrist"), lower_arm, sleeves, 0.03)
        add(f"{side}_hand", (f"{side}_wrist", f"{side}_finger"), (0.024, 0.026), skin, 0.03)
        add(f"{side}_thigh", (f"{side}_hip", f"{side}_knee"), (0.054 * girth, 0.042 * girth), trousers)
        add(f"{side}_shin", (f"{side}_knee", f"{side}_ankle"), (0.041 * girth, 0.028 * girth), legs)
        add(f"{side}_foot", (f"{side}_ankle", f"{side}_toe"), (0.030, 0.024), shoes)

    roll = _rotation(ROLL, rng.uniform(*pose.roll))
    points = {name: height * (roll @ point) for name, point in points.items()}

    parts = []
    depths = [sum(points[end][2] for end in ends) / len(ends) / height + nearer for _, ends, _, _, nearer in patches]
    for depth, (name, ends, radii, color, _) in sorted(zip(depths, patches, strict=True), key=lambda pair: pair[0]):
        outline = _outline(np.array([points[end][:2] for end in ends]), height * np.array(radii))
        # Far limbs are a little darker, or one's legs would melt into each other.
        parts.append(Part(name, outline, np.minimum(color * min(max(1 + 1.5 * depth, 0.75), 1.1), 255)))
    return Figure(parts, np.array([points[name][:2] for name in KEYPOINTS]))


def _rotation(plane: tuple[int, int], degrees: float) -> np.ndarray:
    a, b = plane
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = math.cos(math.radians(degrees))
    matrix[b, a] = math.sin(math.radians(degrees))
    matrix[a, b] = -matrix[b, a]
    return matrix


def _hang(sign: int, abduction_degrees: float, swing_degrees: float) -> np.ndarray:
    """Unit direction of a limb in the frame of the pelvis; `sign` is 1 on the person's left."""
    abduction, swing = math.radians(abduction_degrees), math.radians(swing_degrees)
    down = math.cos(abduction)
    return np.array([sign * math.sin(abduction), down * math.cos(swing), down * math.sin(swing)])


def _outline(centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Convex hull [M, 2] of circles: a disc, a limb or a trunk."""
    circles = centers[:, None] + radii[:, None, None] * CIRCLE
    return cv2.convexHull(circles.reshape(-1, 2).astype(np.float32))[:, 0].astype(np.float64)


def _pick_color(rng: np.random.Generator, away_from: np.ndarray) -> np.ndarray:
    color = rng.uniform(15, 245, 3)
    while np.abs(color - away_from).max() < 70:  # at least 45 % of the cube is free, so this ends soon
        color = rng.uniform(15, 245, 3)
    return color


# ------------------------------------------------------------------------------------------------------- one scene


def make_scene(rng: np.random.Generator, size_hw: tuple[int, int] | None = None) -> Scene:
    """Compose 1 to 4 people, now and then a crowd and things in front of them, on a textured ground.

    A person of whom less than three fifths would show is left out, so that a scene may (seldom) hold nobody.

    Args:
        rng: source of every choice.
        size_hw: height and width of the image, by default 256 to 416 pixels each.
    """
    height, width = (int(side) for side in (size_hw or rng.integers(256, 417, size=2)))
    image = _draw_background(rng, height, width)
    background = np.array(cv2.mean(image)[:3])
    people = 1 + rng.choice(4, p=(0.4, 0.35, 0.17, 0.08))
    heights = 75 * (0.98 * height / 75) ** (rng.random(people) ** 0.8)
    # Near to far: a taller person is nearer, a crowd is far away.
    figures = [_place(rng, make_person(rng, tall, background), height, width) for tall in sorted(heights)[::-1]]
    if rng.random() < 0.2:
        figures.insert(rng.integers(len(figures)), _make_obstacle(rng, figures, height + width))
    if rng.random() < 0.1:
        figures.append(_make_crowd(rng, background, height, width))

    annotations, drawn = [], []
    taken = np.zeros((height, width), bool)
    labels = np.zeros((height, width), np.uint8)
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

    for figure in reversed(drawn):
        _paint_(image, figure)
    return Scene(_expose(rng, image), annotations, labels)


def make_portrait(rng: np.random.Generator, class_name: str, size: int = 128) -> np.ndarray:
    """Draw one person of a class of CLASSES on a textured ground, RGB uint8 [size, size, 3].

    Args:
        rng: source of every other choice.
        class_name: pose and side.
        size: of the square image, in pixels.
    """
    pose, yaw_degrees = CLASSES[class_name]
    image = _draw_background(rng, size, size)
    background = np.array(cv2.mean(image)[:3])
    yaw_degrees = yaw_degrees + np.clip(rng.normal(0, 20), -40, 40)
    person = make_person(rng, size * rng.uniform(0.65, 0.85), background, yaw_degrees, pose)
    low, high = person.bounds()
    _paint_(image, person.moved(size / 2 - (low + high) / 2 + rng.uniform(-0.05, 0.05, 2) * size))
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
    center = person.keypoints[rng.integers(len(KEYPOINTS))]
    low, high = person.bounds()
    half = rng.uniform(0.05, 0.14, 2) * (high - low).max()
    kind = rng.choice(["pole", "box", "disc"])
    if kind == "pole":
        half = np.array((0.4 * half[0], reach))
    corners = center + half * ((-1, -1), (1, -1), (1, 1), (-1, 1))
    outline = _outline(center[None], half[:1]) if kind == "disc" else corners
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


def _draw_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth noise around one colour, with stripes, blobs or a gradient on top; RGB uint8 [H, W, 3]."""
    base = rng.uniform(50, 205, 3)
    cells = rng.integers(2, 9, size=2)
    ground = base + rng.normal(0, 15, (*cells, 3))
    ground = cv2.resize(ground.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
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
            blob = _outline(center + rng.normal(0, 18, (3, 2)), rng.uniform(3, 24, 3))
            _paint_(image, Figure([Part("blob", blob, base + rng.normal(0, 25, 3))]))
    return image


def _fixed_point(outline: np.ndarray) -> np.ndarray:
    return np.rint(outline * 2**SUBPIXEL_BITS).astype(np.int32)


def _paint_(image: np.ndarray, figure: Figure) -> None:
    """Paint the parts over the image, each with a darker rim that sets it off from parts of the same colour."""
    for part in figure.parts:
        points = _fixed_point(part.outline)
        cv2.fillConvexPoly(image, points, part.color.tolist(), cv2.LINE_AA, SUBPIXEL_BITS)
        if part.name not in FACE_MARKS:
            cv2.polylines(image, [points], True, (0.6 * part.color).tolist(), 1, cv2.LINE_AA, SUBPIXEL_BITS)


def _rasterise(figure: Figure, height: int, width: int) -> np.ndarray:
    """Which part is in front at each pixel, int16 [H, W]: its index plus one, 0 outside the figure."""
    part_map = np.zeros((height, width), np.int16)
    for index, part in enumerate(figure.parts, start=1):
        cv2.fillConvexPoly(part_map, _fixed_point(part.outline), index, cv2.LINE_8, SUBPIXEL_BITS)
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
    keypoints = []
    for index, name in enumerate(KEYPOINTS):
        x, y = (-1.0, -1.0) if figure.crowd else figure.keypoints[index].tolist()
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


# ----------------------------------------------------------------------------------------------------- one dataset


def write_coco(folder: str | os.PathLike, train: int = 1200, val: int = 200, seed: int = 0) -> bool:
    """Write a dataset in the layout of COCO 2017: train2017/, val2017/, annotations/person_keypoints_*.json.

    Label maps of the people's parts, with the values of LABELS, lie in labels/train2017 and labels/val2017 as PNGs.

    Image number i of a split depends on the seed alone, not on how many there are. `toy.json` keeps the settings and
    says whether the folder is complete; after an interruption the same call starts over.

    Returns:
        False if the folder already holds this very dataset, and nothing was done.

    Raises:
        ValueError: a count or the seed is out of range.
        DataError: the folder holds something else.
    """
    return _write_once(Path(folder), SPLITS, _write_split, {"train": train, "val": val, "seed": seed})


def write_classes(folder: str | os.PathLike, train: int = 1200, val: int = 200, seed: int = 0) -> bool:
    """Write a folder an image class, train/CLASS/ and val/CLASS/, with one person of CLASSES in each image.

    Otherwise as `write_coco`; classes take turns.
    """
    settings = {"train": train, "val": val, "seed": seed, "classes": list(CLASSES)}
    return _write_once(Path(folder), ("train", "val"), _write_class_split, settings)


def _write_once(folder: Path, splits: tuple[str, str], write_split: Callable[..., None], settings: dict) -> bool:
    """Write both splits unless the folder holds them; refuse a folder with anything else in it."""
    train, val, seed = settings["train"], settings["val"], settings["seed"]
    if not (0 <= train <= 500_000 and 0 <= val <= 500_000 and train + val > 0 and seed >= 0):
        raise ValueError(f"train and val should be 0 to 500000, one above 0, seed >= 0; got {train}, {val} and {seed}")
    settings = {"version": VERSION, **settings}
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; choose another folder for the toy data")
    if folder.is_dir() and any(folder.iterdir()):
        found = _read_mark(folder / "toy.json")
        if {key: value for key, value in found.items() if key != "complete"} != settings:
            raise DataError(
                f"{folder} is not empty and holds {f'toy data made with {found}' if found else 'other data'}, "
                f"not toy data made with {settings}; delete the folder or choose another"
            )
        if found["complete"]:
            logger.info("%s already holds the toy data made with %s", folder, settings)
            return False
    _write_json(folder / "toy.json", settings | {"complete": False})
    for number, (split, count) in enumerate(zip(splits, (train, val), strict=True)):
        write_split(folder, split, [seed, number], count)
    _write_json(folder / "toy.json", settings | {"complete": True})
    return True


def _write_class_split(folder: Path, split: str, seed: list[int], count: int) -> None:
    for index in track(range(count), split, console=Console(stderr=True), disable=count < 250):
        name = list(CLASSES)[index % len(CLASSES)]
        image = make_portrait(np.random.default_rng([*seed, index]), name)
        path = folder / split / name / f"{index:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)


def _write_split(folder: Path, split: str, seed: list[int], count: int) -> None:
    images, annotations = [], []
    (folder / split).mkdir(parents=True, exist_ok=True)
    for index in track(range(count), split, console=Console(stderr=True), disable=count < 250):
        scene = make_scene(np.random.default_rng([*seed, index]))
        image_id = FIRST_IMAGE_ID[split] + index
        file_name = f"{image_id:012d}.jpg"
        write_image(folder / split / file_name, scene.image)  # OpenCV's default JPEG quality is 95
        with write_atomically(folder / "labels" / split / f"{image_id:012d}.png", "wb") as file:
            file.write(cv2.imencode(".png", scene.labels)[1].tobytes())
        height, width = scene.image.shape[:2]
        images.append({"id": image_id, "file_name": file_name, "height": height, "width": width, "license": 1})
        for number, annotation in enumerate(scene.annotations):
            annotations.append({"id": 10 * image_id + number, "image_id": image_id} | annotation)
    person = {"id": 1, "name": "person", "supercategory": "person", "keypoints": KEYPOINTS, "skeleton": SKELETON}
    content = {
        "info": {"description": f"hrtoolkit toy data, {split}", "version": str(VERSION), "year": 2017},
        "licenses": [{"id": 1, "name": "Made by a program, free for any use", "url": ""}],
        "categories": [person],
        "images": images,
        "annotations": annotations,
    }
    _write_json(folder / "annotations" / f"person_keypoints_{split}.json", content)


def _read_mark(path: Path) -> dict:
    try:
        mark = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return mark if isinstance(mark, dict) and "complete" in mark else {}


def _write_json(path: Path, content: dict) -> None:
    with write_atomically(path) as file:
        file.write(json.dumps(content))  # json.dump is many times slower
