"""HRNetV2-W48 on PASCAL-Context, 59 classes.

Published: 54.1 mIoU with all scales and mirroring (48.3 with 60 classes; HRNet-Semantic-Segmentation, master).

    python tools/train.py configs/segmentation/hrnetv2_w48_pascal_context.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_pascal_context.py CHECKPOINT
    python tools/test.py configs/segmentation/hrnetv2_w48_pascal_context.py CHECKPOINT --flip \\
        --set model.inference.scales=[0.5,0.75,1.0,1.25,1.5,1.75,2.0]
"""

_base_ = "../_base_/segmentation_pascal_context.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="SegmentationHead"),
)
