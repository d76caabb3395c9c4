"""Mask R-CNN on HRNetV2p-W18, COCO, 2x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/mask_rcnn_hrnetv2p_w18_coco_2x.py \\
        --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/detection/mask_rcnn_hrnetv2p_w18_coco_2x.py openmmlab
"""

published = {
    "official": {"AP": 39.2, "mask_AP": 35.7, "note": "steps at 20 and 23"},
    "openmmlab": {
        "AP": 39.8,
        "mask_AP": 36.0,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/mask_rcnn_hrnetv2p_w18_2x_coco/mask_rcnn_hrnetv2p_w18_2x_coco_20200212-b3c825b1.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_2x.py"]

model = dict(backbone=dict(width=18), head=dict(masks=True))
