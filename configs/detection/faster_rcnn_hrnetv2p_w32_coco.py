"""Faster R-CNN on HRNetV2p-W32, COCO, 1x.

Published: 40.2 AP (mmdetection 3, whose recipe this is), 39.5 AP (authors), val2017, from ImageNet weights; 2 images
on each of 8 GPUs, SGD 0.02.

    python tools/train.py configs/detection/faster_rcnn_hrnetv2p_w32_coco.py \\
        --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/detection/faster_rcnn_hrnetv2p_w32_coco.py CHECKPOINT
"""

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_1x.py"]

model = dict(backbone=dict(width=32))
