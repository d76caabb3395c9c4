"""Image classification: HRNet-C and any backbone with a pooled head; class folders, ImageNet, list files."""

from hrtoolkit.tasks.classification import augment, datasets, head, metric, transforms

__all__ = ["augment", "datasets", "head", "metric", "transforms"]
