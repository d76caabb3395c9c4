"""Mask R-CNN on HRNetV2p-W32, COCO, 1x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w32_coco.py \\
        --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w32_coco.py openmmlab
"""

published = {
    "official": {"AP": 40.7, "mask_AP": 36.8},
    "openmmlab": {
        "AP": 41.2,
        "mask_AP": 37.1,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/mask_rcnn_hrnetv2p_w32_1x_coco/mask_rcnn_hrnetv2p_w32_1x_coco_20200207-b29f616e.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_1x.py"]

model = dict(backbone=dict(width=32), head=dict(masks=True))
