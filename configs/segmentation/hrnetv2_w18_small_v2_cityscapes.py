"""HRNetV2-W18-small-v2 on Cityscapes.

Scored on whole images of val, at one scale.

    python tools/train.py configs/segmentation/hrnetv2_w18_small_v2_cityscapes.py \\
        --set load_from=timm/hrnet_w18_small_v2.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w18_small_v2_cityscapes.py CHECKPOINT
    python tools/test.py configs/segmentation/hrnetv2_w18_small_v2_cityscapes.py CHECKPOINT --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75]
"""

published = {
    "official": {"mIoU": 76.2, "source": "HRNet-Semantic-Segmentation, master"},
}

_base_ = "../_base_/segmentation_cityscapes.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(
        type="HRNet", width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2, fuse_upsample="bilinear", bn_momentum=0.01
    ),
    head=dict(type="SegmentationHead"),
)
