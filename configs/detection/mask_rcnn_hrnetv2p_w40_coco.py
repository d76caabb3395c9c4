"""Mask R-CNN on HRNetV2p-W40, COCO, 1x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w40_coco.py \\
        --set load_from=timm/hrnet_w40.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w40_coco.py openmmlab
"""

published = {
    "openmmlab": {
        "AP": 42.1,
        "mask_AP": 37.5,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/mask_rcnn_hrnetv2p_w40_1x_coco/mask_rcnn_hrnetv2p_w40_1x_coco_20200511_015646-66738b35.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_1x.py"]

model = dict(backbone=dict(width=40), head=dict(masks=True))
