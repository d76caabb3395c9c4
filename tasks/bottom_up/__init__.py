"""Bottom-up human pose: everybody in an image at once, without boxes (CID, DEKR, HigherHRNet)."""

from hrtoolkit.tasks.bottom_up import augmentation, views

__all__ = ["augmentation", "views"]
