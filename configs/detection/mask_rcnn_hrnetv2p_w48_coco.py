"""Mask R-CNN on HRNetV2p-W48, COCO, 1x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w48_coco.py \\
        --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w48_coco.py official
"""

published = {
    "official": {
        "AP": 42.4,
        "mask_AP": 38.1,
        "note": "by mmdetection 1; the recipe here is mmdetection 3's",
        "file": "https://open-mmlab.s3.ap-northeast-2.amazonaws.com/mmdetection/models/hrnet/mask_rcnn_hrnetv2p_w48_1x_20190820-0923d1ad.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_1x.py"]

model = dict(backbone=dict(width=48), head=dict(masks=True))
