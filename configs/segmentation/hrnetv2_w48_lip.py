"""HRNetV2-W48 on LIP.

Published: 56.04 mIoU with mirroring (HRNet-Semantic-Segmentation, master; 55.8 in pytorch-v1.1).

    python tools/train.py configs/segmentation/hrnetv2_w48_lip.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/segmentation/hrnetv2_w48_lip.py CHECKPOINT --flip
"""

_base_ = "../_base_/segmentation_lip.py"

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
model = dict(
    backbone=dict(type="HRNet", width=48, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="SegmentationHead"),
)
