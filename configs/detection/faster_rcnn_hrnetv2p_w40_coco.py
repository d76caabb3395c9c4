"""Faster R-CNN on HRNetV2p-W40, COCO, 1x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/faster_rcnn_hrnetv2p_w40_coco.py \\
        --set load_from=timm/hrnet_w40.ms_in1k
    python tools/test.py configs/detection/faster_rcnn_hrnetv2p_w40_coco.py openmmlab
"""

published = {
    "official": {"AP": 40.4},
    "openmmlab": {
        "AP": 41.2,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/faster_rcnn_hrnetv2p_w40_1x_coco/faster_rcnn_hrnetv2p_w40_1x_coco_20200210-95c1f5ce.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_1x.py"]

model = dict(backbone=dict(width=40))
