"""HRNetV2-W48 on LIP.

Scored with mirroring.

    python tools/train.py configs/segmentation/hrnetv2_w48_lip.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_lip.py official --flip
"""

published = {
    "official": {
        "mIoU_mirrored": 55.83,
        "source": "HRNet-Semantic-Segmentation, HRNet-OCR",
        "note": "56.04 in master, 55.8 in pytorch-v1.1",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_lip_5583_torch04.pth",
    },
}

_base_ = "../_base_/segmentation_lip.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="SegmentationHead"),
)
