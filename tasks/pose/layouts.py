"""The keypoint schemes of the pose benchmarks, and the rules for a scheme that a file brings along."""

from __future__ import annotations

import re

from hrtoolkit.structures import KeypointLayout

COCO = KeypointLayout(
    names=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    mirrored=(
        ("left_eye", "right_eye"), ("left_ear", "right_ear"), ("left_shoulder", "right_shoulder"),
        ("left_elbow", "right_elbow"), ("left_wrist", "right_wrist"), ("left_hip", "right_hip"),
        ("left_knee", "right_knee"), ("left_ankle", "right_ankle"),
    ),
    skeleton=(
        ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee"),
        ("right_knee", "right_hip"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow"),
        ("right_shoulder", "right_elbow"), ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"),
        ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
        ("right_eye", "right_ear"), ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder"),
    ),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
        0.089, 0.089,
    ),
    upper_body=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist",
    ),
)  # fmt: skip

MPII = KeypointLayout(
    names=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
        "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist",
    ),
    mirrored=(
        ("right_ankle", "left_ankle"), ("right_knee", "left_knee"), ("right_hip", "left_hip"),
        ("right_wrist", "left_wrist"), ("right_elbow", "left_elbow"), ("right_shoulder", "left_shoulder"),
    ),
    skeleton=(
        ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("right_hip", "pelvis"), ("pelvis", "left_hip"),
        ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("pelvis", "thorax"), ("thorax", "upper_neck"),
        ("upper_neck", "head_top"), ("right_wrist", "right_elbow"), ("right_elbow", "right_shoulder"),
        ("right_shoulder", "thorax"), ("thorax", "left_shoulder"), ("left_shoulder", "left_elbow"),
        ("left_elbow", "left_wrist"),
    ),
    upper_body=(
        "thorax", "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder",
        "left_elbow", "left_wrist",
    ),
)  # fmt: skip

LAYOUTS = {"coco": COCO, "mpii": MPII}

# Where a scheme states no OKS fall-off, names that COCO knows take COCO's, others the mean of COCO's.
DEFAULT_SIGMA = sum(COCO.sigmas) / len(COCO.sigmas)

LEFT_TO_RIGHT = {"left": "right", "l": "r"}
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
SIDE = re.compile("left|right|[lr]$", re.IGNORECASE)


def resolve_layout(layout: str | dict | KeypointLayout | None) -> KeypointLayout:
    """Turn what a config says of its keypoints into a layout: a known name, the fields of a layout, or a layout.

    Raises:
        ValueError: nothing is given, the name is unknown, or the fields do not make a layout.
    """
    if isinstance(layout, KeypointLayout):
        return layout
    if isinstance(layout, str) and layout in LAYOUTS:
        return LAYOUTS[layout]
    if isinstance(layout, dict):
        return complete_layout(**layout)
    raise ValueError(
        f"a keypoint layout must be one of {sorted(LAYOUTS)} or a dict with at least `names`, got {layout!r}; "
        "None is only possible where training data tells the names"
    )


def complete_layout(names, mirrored=None, skeleton=(), sigmas=(), upper_body=()) -> KeypointLayout:
    """Fill in what a scheme does not state.

    Mirror partners are the names that differ in left/right alone ("left_eye", "right_eye"; "LHip", "RHip"). OKS
    fall-offs follow `DEFAULT_SIGMA`'s rule. A scheme with exactly COCO's names is COCO's.
    """
    names = tuple(names)
    if names == COCO.names and not mirrored and not sigmas:
        return COCO
    if mirrored is None:
        mirrored, _ = partners_by_name(names)
    if not sigmas:
        known = dict(zip(COCO.names, COCO.sigmas, strict=True))
        sigmas = [known.get(name, DEFAULT_SIGMA) for name in names]
    return KeypointLayout(names, mirrored, skeleton, sigmas, upper_body)


def partners_by_name(names: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of names that differ in left/right alone, and names that tell a side without a partner."""
    pairs = [(name, partner) for name in names if (partner := _swap_side(name, LEFT_TO_RIGHT)) in names]
    # A single letter may stand for anything ("L5" is a vertebra); "left" without a right is a slip of the pen.
    words = {"left": "right", "right": "left"}
    alone = [name for name in names if _swap_side(name, words) and not any(name in pair for pair in pairs)]
    return pairs, alone


def _swap_side(name: str, sides: dict[str, str]) -> str | None:
    """Exchange the words of a name that tell a side, whatever joins them; None where there is none.

    Words are told apart by other characters and by case (leftEye, LEye), and one may begin with a side (lefteye).
    """

    def swap(match: re.Match) -> str:
        word = match[0]
        side = SIDE.match(word)
        if side is None or side[0].lower() not in sides:
            return word
        other = sides[side[0].lower()]
        other = other.upper() if side[0].isupper() else other.capitalize() if word[0].isupper() else other
        return other + word[side.end() :]

    swapped = WORD.sub(swap, name)
    return None if swapped == name else swapped
