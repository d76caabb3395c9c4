"""HRNetV2-W48 on Cityscapes.

Scored on whole images of val, at one scale.

    python tools/train.py configs/segmentation/hrnetv2_w48_cityscapes.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_cityscapes.py official
    python tools/test.py configs/segmentation/hrnetv2_w48_cityscapes.py official --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75]
"""

published = {
    "official": {
        "mIoU": 80.9,
        "source": "HRNet-Semantic-Segmentation, HRNet-OCR",
        "note": "81.1 in pytorch-v1.1 and arXiv:1908.07919",
        "file": "https://github.com/hsfzxjy/models.storage/releases/download/HRNet-OCR/hrnet_cs_8090_torch11.pth",
    },
}

_base_ = "../_base_/segmentation_cityscapes.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="SegmentationHead"),
)
