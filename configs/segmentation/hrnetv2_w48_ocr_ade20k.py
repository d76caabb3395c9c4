"""HRNetV2-W48 with object-contextual representations (arXiv:1909.11065) on ADE20K.

Scored at one scale, and with all scales and mirroring.

    python tools/train.py configs/segmentation/hrnetv2_w48_ocr_ade20k.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_ade20k.py official
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_ade20k.py official --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

published = {
    "official": {
        "mIoU": 44.5,
        "mIoU_all_scales": 45.5,
        "source": "HRNet-Semantic-Segmentation, HRNet-OCR",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_ocr_ade20k_4451_torch04.pth",
    },
}

_base_ = "../_base_/segmentation_ade20k.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True),
    neck=dict(type="Concat", align_corners=True),
    head=dict(type="OCRHead", aux_loss=dict(type="CrossEntropy", average="all")),
)
train_dataloader = dict(augmentation=dict(scale=(0.5, 2.1)))
