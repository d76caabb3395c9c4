"""HRNetV2-W48 with object-contextual representations (arXiv:1909.11065) on PASCAL-Context, 59 classes.

Scored with all scales and mirroring.

    python tools/train.py configs/segmentation/hrnetv2_w48_ocr_pascal_context.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_pascal_context.py official
    python tools/test.py configs/segmentation/hrnetv2_w48_ocr_pascal_context.py official --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

published = {
    "official": {
        "mIoU_all_scales": 56.2,
        "source": "HRNet-Semantic-Segmentation, HRNet-OCR",
        "note": "50.1 with 60 classes",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_ocr_pascal_ctx_5618_torch11.pth",
    },
}

_base_ = "../_base_/segmentation_pascal_context.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True),
    neck=dict(type="Concat", align_corners=True),
    head=dict(type="OCRHead"),
    view=dict(short_side=520, pad_to=8),
    inference=dict(window=(520, 520), stride=(346, 346)),
)
train_dataloader = dict(augmentation=dict(crop_size=(520, 520)))
optim_wrapper = dict(optimizer=dict(lr=0.001), paramwise_cfg=dict(custom_keys={"head": dict(lr_mult=10.0)}))
