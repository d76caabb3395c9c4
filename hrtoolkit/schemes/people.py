"""Keypoints of people in three benchmarks (`layouts` has others), and OKS fall-offs of a scheme that states none."""

from __future__ import annotations

from dataclasses import replace

from hrtoolkit.schemes.base import KeypointScheme

COCO = KeypointScheme(
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
    title="COCO",
)  # fmt: skip

MPII = KeypointScheme(
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
    common_names=(("upper_neck", "neck"),),  # its thorax and pelvis are nobody else's
    title="MPII",
)  # fmt: skip

CROWDPOSE = KeypointScheme(
    names=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
    ),
    mirrored=(
        ("left_shoulder", "right_shoulder"), ("left_elbow", "right_elbow"), ("left_wrist", "right_wrist"),
        ("left_hip", "right_hip"), ("left_knee", "right_knee"), ("left_ankle", "right_ankle"),
    ),
    skeleton=(  # that of its files is COCO's, whose numbers mean other keypoints
        ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee"),
        ("right_knee", "right_hip"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow"),
        ("right_shoulder", "right_elbow"), ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"),
        ("head", "neck"), ("left_shoulder", "neck"), ("right_shoulder", "neck"),
    ),
    sigmas=(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
    upper_body=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "head", "neck",
    ),
    common_names=(("head", "head_top"),),
    title="CrowdPose",
    terms="none stated in the authors' repository: treat as research only until they say more",
)  # fmt: skip


# Names that COCO knows take COCO's fall-offs, others the mean of COCO's.
KNOWN_SIGMAS = dict(zip(COCO.names, COCO.sigmas, strict=True))
DEFAULT_SIGMA = sum(COCO.sigmas) / len(COCO.sigmas)


def with_sigmas(scheme: KeypointScheme) -> KeypointScheme:
    """Give a scheme that states no OKS fall-offs those of `KNOWN_SIGMAS`, or `DEFAULT_SIGMA`."""
    if scheme.sigmas:
        return scheme
    return replace(scheme, sigmas=tuple(KNOWN_SIGMAS.get(name, DEFAULT_SIGMA) for name in scheme.names))
