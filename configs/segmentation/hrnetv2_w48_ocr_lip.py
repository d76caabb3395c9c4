"""HRNetV2-W48 with object-contextual representations (arXiv:1909.11065) on LIP.

Published: 56.48 mIoU with mirroring (HRNet-Semantic-Segmentation, HRNet-OCR; trained with torch 0.4.1).

    python tools/train.py configs/segmentation/hrnetv2_w48_ocr_lip.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_lip.py CHECKPOINT --flip
"""

_base_ = "../_base_/segmentation_lip.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True),
    neck=dict(type="Concat", align_corners=True),
    head=dict(type="OCRHead"),
)
