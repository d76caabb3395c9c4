"""Image classification: HRNet-C and any backbone with a pooled head; class folders, ImageNet, list files."""

from hrtoolkit.tasks.classification import augmentation, checkpoints, datasets, head, metric, mixing, views

__all__ = ["augmentation", "checkpoints", "datasets", "head", "metric", "mixing", "views"]
