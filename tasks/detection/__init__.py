"""Object detection and instance segmentation: Faster, Mask and Cascade R-CNN on COCO, VOC and files like theirs."""

from hrtoolkit.tasks.detection import datasets, head, loss, metric, transforms

__all__ = ["datasets", "head", "loss", "metric", "transforms"]
