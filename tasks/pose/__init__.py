"""Top-down human pose: COCO keypoints, MPII, and any keypoint file in COCO's format."""

from tasks.pose import datasets, head, loss, metric, transforms

__all__ = ["datasets", "head", "loss", "metric", "transforms"]
