"""What the originals do differently: weights trained one way give other numbers the other way.

A head tells its view what convention it goes by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Convention:
    """The numbers and rules of one code base.

    Boxes are (x1, y1, x2, y2) with width x2 - x1 everywhere. The authors' codes of 2019 count the last pixel in and
    have width x2 - x1 + 1: with one added to their x2 and y2, their coder, overlaps and RoIAlign are those of today,
    and what remains different is where anchors lie, and that resizing moves their last pixel, not the edge behind it.
    """

    float_resize: bool  # sides rounded down and grey levels not at all; else sides and grey levels to the nearest
    last_pixel: bool  # resizing takes x2 and y2 for those of the last pixel, plus one

    anchors: Literal["exact", "rounded", "authors", "detectron"]  # see `base_anchors`
    fixed_strides: bool  # False: padded size // grid size, which is 66 rather than 64 for 800 rows on the coarsest map
    roi_aligned: bool  # shift RoIs by half a cell (He et al.'s "aligned" RoIAlign)
    roi_samples: int  # per bin and axis; 0: as many as the bin has cells
    clamp_shrinking: bool  # limit decoded sizes from below too
    best_anchor_iou: float  # an object's best anchor is positive from this overlap on, whatever the thresholds say
    best_anchor_own: bool  # ... and belongs to that object, not to the one it overlaps most
    best_roi: Literal["never", "with masks", "always"]  # the same for RoIs
    inner_anchors: bool  # only anchors inside the image are trained
    rpn_beta: float  # where smooth L1 turns linear; 0 is L1
    box_beta: float
    pre_nms: tuple[int, int]  # proposals a level before suppression, in training and at test time
    post_nms: tuple[int, int]  # proposals an image after it
    masks: Literal["exact", "soft", "whole"]  # see `mask_targets` and `paste_masks`


# Sources: mmdetection 3.3 (configs/_base_/models, models/task_modules), torchvision 0.29 (models/detection),
# HRNet/HRNet-Object-Detection (configs/hrnet, mmdet/core) and HRNet/HRNet-MaskRCNN-Benchmark (config/defaults.py).
MMDET = Convention(
    float_resize=False,
    last_pixel=False,
    anchors="exact",
    fixed_strides=True,
    roi_aligned=True,
    roi_samples=0,
    clamp_shrinking=True,
    best_anchor_iou=0.3,
    best_anchor_own=True,
    best_roi="with masks",
    inner_anchors=False,
    rpn_beta=0.0,
    box_beta=0.0,
    pre_nms=(2000, 1000),
    post_nms=(1000, 1000),
    masks="exact",
)
TORCHVISION = Convention(
    float_resize=True,
    last_pixel=False,
    anchors="rounded",
    fixed_strides=False,
    roi_aligned=False,
    roi_samples=2,
    clamp_shrinking=False,
    best_anchor_iou=0.0,
    best_anchor_own=False,
    best_roi="never",
    inner_anchors=False,
    rpn_beta=1 / 9,
    box_beta=1 / 9,
    pre_nms=(2000, 1000),
    post_nms=(2000, 1000),
    masks="soft",
)
AUTHORS = replace(
    TORCHVISION,
    float_resize=False,
    last_pixel=True,
    anchors="authors",
    fixed_strides=True,
    clamp_shrinking=True,
    best_anchor_iou=0.3,
    best_anchor_own=True,
    best_roi="always",
    inner_anchors=True,
    box_beta=1.0,
    pre_nms=(2000, 2000),
    post_nms=(2000, 2000),
    masks="whole",
)
MASKRCNN_BENCHMARK = replace(
    TORCHVISION,
    float_resize=False,
    last_pixel=True,
    anchors="detectron",
    fixed_strides=True,
    inner_anchors=True,
    box_beta=1.0,
)
CONVENTIONS = {
    "mmdet": MMDET,
    "torchvision": TORCHVISION,
    "authors": AUTHORS,
    "maskrcnn-benchmark": MASKRCNN_BENCHMARK,
}
# A cascade of mmdetection has other losses and proposals than its other detectors.
CASCADE_CONVENTIONS = {
    "mmdet": replace(MMDET, inner_anchors=True, rpn_beta=1 / 9, box_beta=1.0, post_nms=(2000, 1000), best_roi="never"),
    "authors": AUTHORS,
}
