"""Semantic segmentation: Cityscapes, PASCAL-Context, LIP, ADE20K, COCO-Stuff, and any folder of label PNGs."""

from hrtoolkit.tasks.segmentation import augmentation, checkpoints, datasets, head, inference, loss, metric, views

__all__ = ["HUB_TASK", "augmentation", "checkpoints", "datasets", "head", "inference", "loss", "metric", "views"]

HUB_TASK = "image-segmentation"  # the Hugging Face Hub's word for it
