"""Faster R-CNN on HRNetV2p-W48, COCO, 1x.

Published: 40.9 AP (authors, by mmdetection 1; the recipe here is mmdetection 3's), val2017, from ImageNet weights; 2
images on each of 8 GPUs, SGD 0.02.

    python tools/train.py configs/detection/faster_rcnn_hrnetv2p_w48_coco.py \\
        --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/detection/faster_rcnn_hrnetv2p_w48_coco.py CHECKPOINT
"""

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_1x.py"]

model = dict(backbone=dict(width=48))
