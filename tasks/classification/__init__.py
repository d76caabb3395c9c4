"""Image classification: HRNet-C and any backbone with a pooled head; class folders, ImageNet, list files."""

from hrtoolkit.tasks.classification import augmentation, checkpoints, datasets, head, metric, mixing, views

__all__ = ["HUB_TASK", "OFFICIAL_PAGE", "augmentation", "checkpoints", "datasets", "head", "metric", "mixing", "views"]

HUB_TASK = "image-classification"  # the Hugging Face Hub's word for it
OFFICIAL_PAGE = "https://github.com/HRNet/HRNet-Image-Classification"  # from which people fetch weights
