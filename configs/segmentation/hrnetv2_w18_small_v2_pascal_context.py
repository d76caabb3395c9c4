"""HRNetV2-W18-small-v2 on PASCAL-Context, 59 classes.

Published: nothing for this size.

    python tools/train.py configs/segmentation/hrnetv2_w18_small_v2_pascal_context.py \\
        --set load_from=timm/hrnet_w18_small_v2.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w18_small_v2_pascal_context.py CHECKPOINT
    python tools/test.py configs/segmentation/hrnetv2_w18_small_v2_pascal_context.py CHECKPOINT --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

_base_ = "../_base_/segmentation_pascal_context.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(
        type="HRNet", width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2, fuse_upsample="bilinear", bn_momentum=0.01
    ),
    head=dict(type="SegmentationHead"),
)
