"""HRNetV2-W48 with object-contextual representations (arXiv:1909.11065) on COCO-Stuff 10k.

Scored at one scale, and with all scales and mirroring.

    python tools/train.py configs/segmentation/hrnetv2_w48_ocr_coco_stuff.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_coco_stuff.py official
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_coco_stuff.py official --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

published = {
    "official": {
        "mIoU": 39.7,
        "mIoU_all_scales": 40.6,
        "source": "HRNet-Semantic-Segmentation, HRNet-OCR",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_ocr_cocostuff_3965_torch04.pth",
    },
}

_base_ = "../_base_/segmentation_coco_stuff.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True),
    neck=dict(type="Concat", align_corners=True),
    head=dict(type="OCRHead", aux_loss=dict(type="CrossEntropy", average="all")),
)
