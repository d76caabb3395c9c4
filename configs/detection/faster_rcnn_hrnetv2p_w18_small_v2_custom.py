"""Faster R-CNN on HRNetV2p-W18-small-v2, on boxes of your own; 640 x 640, for CPUs and small data.

The data is an export of a labelling tool, or a file in COCO's format; the classes come from it, and the recipe from how
much there is. Published: none, it depends on the images.

    hrtoolkit train detection/faster_rcnn_hrnetv2p_w18_small_v2_custom --data EXPORT
    hrtoolkit predict work_dirs/detection/faster_rcnn_hrnetv2p_w18_small_v2_custom/best.pth PICTURES --out found
"""

_base_ = "../_base_/custom_detection.py"

model = dict(
    backbone=dict(width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2),
    neck=dict(channels=128),
    view=dict(size=(640, 640)),
)
load_from = "timm/hrnet_w18_small_v2.ms_in1k"  # downloaded by timm; or a file
