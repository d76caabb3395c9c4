"""Faster R-CNN on HRNetV2p-W18, on boxes of your own; 1024 x 640.

The data is an export of a labelling tool, or a file in COCO's format; the classes come from it, and the recipe from how
much there is. Published: none, it depends on the images.

    hrtoolkit train detection/faster_rcnn_hrnetv2p_w18_custom --data EXPORT
    hrtoolkit predict work_dirs/detection/faster_rcnn_hrnetv2p_w18_custom/best.pth PICTURES --out found
"""

_base_ = "../_base_/custom_detection.py"

model = dict(backbone=dict(width=18))
load_from = "timm/hrnet_w18.ms_in1k"  # downloaded by timm; or a file, such as a detector of COCO's classes
