"""HRNetV2-W18-small-v2 on ADE20K.

Published: nothing with this recipe.

    python tools/train.py configs/segmentation/hrnetv2_w18_small_v2_ade20k.py \\
        --set load_from=timm/hrnet_w18_small_v2.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w18_small_v2_ade20k.py CHECKPOINT
    python tools/test.py configs/segmentation/hrnetv2_w18_small_v2_ade20k.py CHECKPOINT --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

published = {
    "openmmlab": {"mIoU": 33.07, "note": "160,000 iterations of its own recipe"},
}

_base_ = "../_base_/segmentation_ade20k.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(
        type="HRNet",
        width=18,
        modules=(1, 3, 2),
        blocks=2,
        layer1_blocks=2,
        fuse_upsample="bilinear",
        align_corners=True,
    ),
    head=dict(type="SegmentationHead", align_corners=True, bn_momentum=0.1),
)
