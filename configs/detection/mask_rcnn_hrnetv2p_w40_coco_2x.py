"""Mask R-CNN on HRNetV2p-W40, COCO, 2x.

Published: 42.8 box AP, 38.2 mask AP (mmdetection 3, whose recipe this is), val2017, from ImageNet weights; 2 images
on each of 8 GPUs, SGD 0.02.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w40_coco_2x.py \\
        --set load_from=timm/hrnet_w40.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w40_coco_2x.py CHECKPOINT
"""

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_2x.py"]

model = dict(backbone=dict(width=40), head=dict(masks=True))
