"""Object detection and instance segmentation: Faster, Mask and Cascade R-CNN on COCO, VOC and files like theirs."""

from hrtoolkit.tasks.detection import augmentation, checkpoints, datasets, head, metric, old, views

__all__ = ["HUB_TASK", "augmentation", "checkpoints", "datasets", "head", "metric", "old", "views"]

HUB_TASK = "object-detection"  # the Hugging Face Hub's word for it
