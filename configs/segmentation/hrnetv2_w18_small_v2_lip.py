"""HRNetV2-W18-small-v2 on LIP.

Published: nothing for this size.

    python tools/train.py configs/segmentation/hrnetv2_w18_small_v2_lip.py \\
        --set load_from=timm/hrnet_w18_small_v2.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w18_small_v2_lip.py CHECKPOINT --flip
"""

_base_ = "../_base_/segmentation_lip.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(
        type="HRNet", width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2, fuse_upsample="bilinear", bn_momentum=0.01
    ),
    head=dict(type="SegmentationHead"),
)
