"""HRNetV2-W48 on ADE20K.

Scored at one scale, and with all scales and mirroring.

    python tools/train.py configs/segmentation/hrnetv2_w48_ade20k.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_ade20k.py official
    python tools/test.py configs/segmentation/hrnetv2_w48_ade20k.py official --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

published = {
    "official": {
        "mIoU": 43.1,
        "mIoU_all_scales": 44.2,
        "source": "HRNet-Semantic-Segmentation, HRNet-OCR",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_ade20k_4312_torch04.pth",
    },
}

_base_ = "../_base_/segmentation_ade20k.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True),
    head=dict(type="SegmentationHead", align_corners=True, bn_momentum=0.1),
)
