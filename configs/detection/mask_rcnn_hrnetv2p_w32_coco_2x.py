"""Mask R-CNN on HRNetV2p-W32, COCO, 2x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w32_coco_2x.py \\
        --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w32_coco_2x.py openmmlab
"""

published = {
    "official": {"AP": 42.1, "mask_AP": 37.6, "note": "steps at 20 and 23"},
    "openmmlab": {
        "AP": 42.5,
        "mask_AP": 37.8,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/mask_rcnn_hrnetv2p_w32_2x_coco/mask_rcnn_hrnetv2p_w32_2x_coco_20200213-45b75b4d.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_2x.py"]

model = dict(backbone=dict(width=32), head=dict(masks=True))
