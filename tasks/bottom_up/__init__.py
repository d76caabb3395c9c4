"""Bottom-up human pose: everybody in an image at once, without boxes (CID, DEKR, HigherHRNet)."""

from hrtoolkit.tasks.bottom_up import (
    augmentation,
    cid,
    cid_checkpoints,
    dekr,
    dekr_checkpoints,
    higher_hrnet,
    higher_hrnet_checkpoints,
    inference,
    views,
)

__all__ = [
    "augmentation",
    "cid",
    "cid_checkpoints",
    "dekr",
    "dekr_checkpoints",
    "higher_hrnet",
    "higher_hrnet_checkpoints",
    "inference",
    "views",
]
