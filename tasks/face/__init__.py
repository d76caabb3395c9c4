"""Face alignment: 300W, WFLW, COFW, AFLW, and keypoint files of one's own."""

from hrtoolkit.tasks.face import augmentation, checkpoints, codec, datasets, head, metric, views

__all__ = ["HUB_TASK", "OFFICIAL_PAGE", "augmentation", "checkpoints", "codec", "datasets", "head", "metric", "views"]

HUB_TASK = "keypoint-detection"  # the Hugging Face Hub's word for it
OFFICIAL_PAGE = "https://github.com/HRNet/HRNet-Facial-Landmark-Detection"  # from which people fetch weights
