"""Face alignment: 300W, WFLW, COFW, AFLW, and keypoint files of one's own."""

from hrtoolkit.tasks.face import augmentation, checkpoints, codec, datasets, head, metric, views

__all__ = ["augmentation", "checkpoints", "codec", "datasets", "head", "metric", "views"]
