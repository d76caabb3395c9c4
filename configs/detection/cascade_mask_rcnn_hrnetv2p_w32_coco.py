"""Cascade Mask R-CNN on HRNetV2p-W32, COCO, 20 epochs.

The recipe is mmdetection 3's: from ImageNet weights, 2 images on each of 8 GPUs, SGD 0.02; scored on val2017.

    python tools/train.py configs/detection/cascade_mask_rcnn_hrnetv2p_w32_coco.py \\
        --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/detection/cascade_mask_rcnn_hrnetv2p_w32_coco.py openmmlab
"""

published = {
    "official": {"AP": 44.5, "mask_AP": 38.5},
    "openmmlab": {
        "AP": 44.3,
        "mask_AP": 38.6,
        "file": "https://download.openmmlab.com/mmdetection/v2.0/hrnet/cascade_mask_rcnn_hrnetv2p_w32_20e_coco/cascade_mask_rcnn_hrnetv2p_w32_20e_coco_20200512_154043-39d9cf7b.pth",
    },
}

_base_ = ["../_base_/detection_coco.py", "../_base_/detection_20_epochs.py"]

model = dict(backbone=dict(width=32), head=dict(type="CascadeRCNNHead", masks=True))
