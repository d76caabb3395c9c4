"""Numbers of every pixel: depth, surface normals, or any other map that goes with an image."""

from hrtoolkit.tasks.dense import datasets, head, loss, metric

__all__ = ["HUB_TASK", "datasets", "head", "loss", "metric"]

HUB_TASK = "depth-estimation"  # the Hugging Face Hub's word for the most common of them
