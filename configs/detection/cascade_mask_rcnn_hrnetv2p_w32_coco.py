"""Cascade Mask R-CNN on HRNetV2p-W32, COCO, 20 epochs.

Published: 44.3 box AP, 38.6 mask AP (mmdetection 3, whose recipe this is), 44.5 / 38.5 box / mask AP (authors),
val2017, from ImageNet weights; 2 images on each of 8 GPUs, SGD 0.02.

    python tools/train.py configs/detection/cascade_mask_rcnn_hrnetv2p_w32_coco.py \\
        --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/detection/cascade_mask_rcnn_hrnetv2p_w32_coco.py CHECKPOINT
"""

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_20_epochs.py"]

model = dict(backbone=dict(width=32), head=dict(type="CascadeRCNNHead", masks=True))
