"""Top-down human pose: COCO keypoints, MPII, and any keypoint file in COCO's format."""

from hrtoolkit.tasks.pose import datasets, layouts, metric, transforms

__all__ = ["datasets", "layouts", "metric", "transforms"]
