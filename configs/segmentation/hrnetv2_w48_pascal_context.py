"""HRNetV2-W48 on PASCAL-Context, 59 classes.

Scored with all scales and mirroring.

    python tools/train.py configs/segmentation/hrnetv2_w48_pascal_context.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_pascal_context.py official
    python tools/test.py configs/segmentation/hrnetv2_w48_pascal_context.py official --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

published = {
    "official": {
        "mIoU_all_scales": 54.1,
        "source": "HRNet-Semantic-Segmentation, master",
        "note": "48.3 with 60 classes",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_pascal_ctx_5410_torch11.pth",
    },
}

_base_ = "../_base_/segmentation_pascal_context.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="SegmentationHead"),
)
