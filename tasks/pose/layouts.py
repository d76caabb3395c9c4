"""The keypoint schemes of the pose benchmarks, and the rules for a scheme that a file brings along."""

from __future__ import annotations

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

    Mirror partners are the names that differ in left/right alone ("left_eye", "right_eye"; "l_hip", "r_hip"); OKS
    fall-offs follow `DEFAULT_SIGMA`'s rule. A scheme with exactly COCO's names is COCO's.
    """
    names = tuple(names)
    if names == COCO.names and not mirrored and not sigmas:
        return COCO
    if mirrored is None:
        mirrored = [(name, partner) for name in names if (partner := _right_partner(name)) in names]
    if not sigmas:
        known = dict(zip(COCO.names, COCO.sigmas, strict=True))
        sigmas = [known.get(name, DEFAULT_SIGMA) for name in names]
    return KeypointLayout(names, mirrored, skeleton, sigmas, upper_body)


def _right_partner(name: str) -> str | None:
    words = name.replace("-", "_").split("_")
    swap = {"left": "right", "l": "r", "Left": "Right", "L": "R"}
    if not any(word in swap for word in words):
        return None
    return "_".join(swap.get(word, word) for word in words)
