"""HRNetV2-W48 with object-contextual representations (arXiv:1909.11065) on LIP.

Scored with mirroring.

    python tools/train.py configs/segmentation/hrnetv2_w48_ocr_lip.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_lip.py official --flip
"""

published = {
    "official": {
        "mIoU_mirrored": 56.48,
        "source": "HRNet-Semantic-Segmentation, HRNet-OCR",
        "note": "trained with torch 0.4.1",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_ocr_lip_5648_torch04.pth",
    },
}

_base_ = "../_base_/segmentation_lip.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True),
    neck=dict(type="Concat", align_corners=True),
    head=dict(type="OCRHead"),
)
