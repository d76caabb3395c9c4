"""Mask R-CNN on HRNetV2p-W40, COCO, 2x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w40_coco_2x.py \\
        --set load_from=timm/hrnet_w40.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w40_coco_2x.py openmmlab
"""

published = {
    "openmmlab": {
        "AP": 42.8,
        "mask_AP": 38.2,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/mask_rcnn_hrnetv2p_w40_2x_coco/mask_rcnn_hrnetv2p_w40_2x_coco_20200512_163732-aed5e4ab.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_2x.py"]

model = dict(backbone=dict(width=40), head=dict(masks=True))
