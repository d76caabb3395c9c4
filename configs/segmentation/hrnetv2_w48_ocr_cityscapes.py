"""HRNetV2-W48 with object-contextual representations (arXiv:1909.11065) on Cityscapes.

Published: 81.6 mIoU on val, whole images, one scale (HRNet-Semantic-Segmentation, HRNet-OCR); 70.4 M parameters.

    python tools/train.py configs/segmentation/hrnetv2_w48_ocr_cityscapes.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_cityscapes.py CHECKPOINT
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_cityscapes.py CHECKPOINT --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75]
"""

_base_ = "../_base_/segmentation_cityscapes.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True),
    neck=dict(type="Concat", align_corners=True),
    head=dict(type="OCRHead"),
)
