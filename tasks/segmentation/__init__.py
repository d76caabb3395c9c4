"""Semantic segmentation: Cityscapes, PASCAL-Context, LIP, ADE20K, COCO-Stuff, and any folder of label PNGs."""

from hrtoolkit.tasks.segmentation import datasets, head, inference, loss, metric, postprocess, transforms

__all__ = ["datasets", "head", "inference", "loss", "metric", "postprocess", "transforms"]
