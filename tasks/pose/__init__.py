"""Top-down human pose: COCO keypoints, MPII, and any keypoint file in COCO's format."""

from hrtoolkit.tasks.pose import augmentation, checkpoints, datasets, finish, metric

__all__ = ["augmentation", "checkpoints", "datasets", "finish", "metric"]
