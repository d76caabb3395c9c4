"""HRNetV2-W18 face alignment on WFLW, 256x256.

Published: NME 4.60 % test; 7.86 pose, 4.78 expression, 4.57 illumination, 4.26 makeup, 5.42 occlusion, 5.36 blur
(official release; arXiv:1908.07919 has 4.60, 7.94, 4.85, 4.55, 4.29, 5.44, 5.42), divided by the distance of the outer
eye corners, no flip test, from ImageNet weights; 16 faces, Adam 1e-4.
The numbers need what this config switches on: crops with stretched contrast (OfficialFaceCrop), cells cut off
instead of rounded (TruncatedHeatmap), and integer landmarks (integer_points). Recipes without are hrnetv2_w18_wflw_dark
and hrnetv2_w18_aflw_dark.

    python tools/train.py configs/face/hrnetv2_w18_wflw.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_wflw.py CHECKPOINT
"""

_base_ = ["../_base_/face_wflw.py", "../_base_/face_60_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="FaceHead", scheme="wflw", codec=dict(type="TruncatedHeatmap", sigma=1.5), integer_points=True),
)
