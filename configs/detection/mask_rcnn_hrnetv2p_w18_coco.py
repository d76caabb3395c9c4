"""Mask R-CNN on HRNetV2p-W18, COCO, 1x.

Published: 37.7 box AP, 34.2 mask AP (mmdetection 3, whose recipe this is), 37.3 / 34.2 box / mask AP (authors),
val2017, from ImageNet weights; 2 images on each of 8 GPUs, SGD 0.02.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w18_coco.py \\
        --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w18_coco.py CHECKPOINT
"""

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_1x.py"]

model = dict(backbone=dict(width=18), head=dict(masks=True))
