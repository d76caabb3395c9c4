"""Top-down human pose: COCO keypoints, MPII, and any keypoint file in COCO's format."""

from hrtoolkit.tasks.pose import (
    ai_challenger,
    augmentation,
    checkpoints,
    datasets,
    distances,
    finish,
    metric,
    posetrack,
    tracking,
    whole_body,
)

__all__ = [
    "HUB_TASK",
    "OFFICIAL_PAGE",
    "ai_challenger",
    "augmentation",
    "checkpoints",
    "datasets",
    "distances",
    "finish",
    "metric",
    "posetrack",
    "tracking",
    "whole_body",
]

HUB_TASK = "keypoint-detection"  # the Hugging Face Hub's word for it
OFFICIAL_PAGE = "https://github.com/leoxiaobin/deep-high-resolution-net.pytorch"  # from which people fetch weights
