"""Faster R-CNN on HRNetV2p-W32, COCO, 2x.

Published: 41.4 AP (mmdetection 3, whose recipe this is), 40.8 AP (authors, steps at 20 and 23), val2017, from
ImageNet weights; 2 images on each of 8 GPUs, SGD 0.02.

    python tools/train.py configs/detection/faster_rcnn_hrnetv2p_w32_coco_2x.py \\
        --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/detection/faster_rcnn_hrnetv2p_w32_coco_2x.py CHECKPOINT
"""

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_2x.py"]

model = dict(backbone=dict(width=32))
