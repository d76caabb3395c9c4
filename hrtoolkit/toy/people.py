"""Drawn people: bodies in a pose, seen from somewhere, as parts to be painted from far to near.

Everything is drawn symmetrically: only the way a person faces decides left and right, as in photographs.

Convention: points are (x, y) in image pixels with pixel centres on integers. Bodies live in camera axes, x to the
right, y down, z towards the viewer, in units of the standing height; a person with yaw 0 looks at the viewer, so that
the left hand is at positive x. The camera is orthographic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip

SKIN = ((247, 214, 186), (228, 180, 143), (196, 143, 104), (148, 98, 66), (104, 68, 46))
FACE_MARKS = ("nose", "left_eye", "right_eye")  # painted parts that carry the names of their keypoints
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

# Rotations, as the axis that turns towards another one: a turn to the right edge of the image, a bow forwards, and a
# fall to the right edge.
YAW, PITCH, ROLL = (2, 0), (2, 1), (0, 1)
SUBPIXEL_BITS = 4  # of coordinates that OpenCV draws
CIRCLE = np.array([(np.cos(t), np.sin(t)) for t in np.linspace(0, 2 * np.pi, 16, endpoint=False)])


@dataclass(frozen=True)
class Part:
    """A convex patch of one color."""

    name: str
    outline: np.ndarray  # [M, 2]
    color: np.ndarray  # RGB, 0 to 255
    nearer: float = 0.0  # pixels by which it counts as nearer than the middle of its figure


@dataclass(frozen=True)
class Figure:
    """Something drawn: parts from far to near, keypoints [17, 2] if it is a person, and metres to the viewer."""

    parts: list[Part]
    keypoints: np.ndarray | None = None
    crowd: bool = False
    distance: float = 0.0

    def moved(self, shift: np.ndarray) -> Figure:
        parts = [replace(part, outline=part.outline + shift) for part in self.parts]
        return replace(self, parts=parts, keypoints=None if self.keypoints is None else self.keypoints + shift)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        points = np.concatenate([part.outline for part in self.parts])
        return points.min(axis=0), points.max(axis=0)


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
        background: mean RGB color of the ground, which clothes stay away from.
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

    points: dict[str, np.ndarray] = {}  # name -> [3], in standing heights
    patches = []  # name of the part, names of its points, their radii, its color, how much nearer it counts

    def add(name: str, ends: tuple[str, ...], radii: tuple[float, ...], color: np.ndarray, nearer: float = 0) -> None:
        patches.append((name, ends, radii, color, nearer))

    # Trunk and head.
    bend = yaw @ _rotation(PITCH, pitch_degrees)
    neck = bend @ (0, -0.30 * stature[1], 0)
    head_axes = head_yaw @ _rotation(PITCH, 0.5 * pitch_degrees + rng.uniform(-8, 12))
    radius = 0.078 * stature[0]
    head = neck + head_axes @ (0, -0.055 - radius, 0.01)
    points |= {"neck": neck, "head": head}
    face_points: dict[str, tuple[float, float, float]] = {
        "face": (0, 0.14, 0.3),
        "nose": (0, 0.18, 1.05),
        "crown": (0, -0.1, -0.1),
    }
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
        outline = draw_outline(np.array([points[end][:2] for end in ends]), height * np.array(radii))
        # Far limbs are a little darker, or one's legs would melt into each other.
        shade = min(max(1 + 1.5 * depth, 0.75), 1.1)
        parts.append(Part(name, outline, np.minimum(color * shade, 255), height * depth))
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


def draw_outline(centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Convex hull [M, 2] of circles: a disc, a limb or a trunk."""
    circles = centers[:, None] + radii[:, None, None] * CIRCLE
    return cv2.convexHull(circles.reshape(-1, 2).astype(np.float32))[:, 0].astype(np.float64)


def _pick_color(rng: np.random.Generator, away_from: np.ndarray) -> np.ndarray:
    color = rng.uniform(15, 245, 3)
    while np.abs(color - away_from).max() < 70:  # at least 45 % of the cube is free, so this ends soon
        color = rng.uniform(15, 245, 3)
    return color


def to_fixed_point(points: np.ndarray) -> np.ndarray:
    """Points [M, 2] as OpenCV takes them with `shift=SUBPIXEL_BITS`, int32."""
    return np.rint(points * 2**SUBPIXEL_BITS).astype(np.int32)
