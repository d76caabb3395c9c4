"""Faster R-CNN on HRNetV2p-W18, COCO, 2x.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/faster_rcnn_hrnetv2p_w18_coco_2x.py \\
        --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/detection/faster_rcnn_hrnetv2p_w18_coco_2x.py openmmlab
"""

published = {
    "official": {"AP": 38.1, "note": "steps at 20 and 23"},
    "openmmlab": {
        "AP": 38.9,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/faster_rcnn_hrnetv2p_w18_2x_coco/faster_rcnn_hrnetv2p_w18_2x_coco_20200702_085731-a4ec0611.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_2x.py"]

model = dict(backbone=dict(width=18))
