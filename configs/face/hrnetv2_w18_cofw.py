"""HRNetV2-W18 face alignment on COFW, 256x256.

Published: NME 3.45 %, failure rate 0.20 % at 10 % (official release; 3.45 and 0.19 in arXiv:1908.07919), divided by the
distance of the outer eye corners, no flip test, from ImageNet weights; 16 faces, Adam 1e-4. Needs h5py.
The numbers need what this config switches on: crops with stretched contrast (OfficialFaceCrop), cells cut off
instead of rounded (TruncatedHeatmap), and integer landmarks (integer_points). Recipes without are hrnetv2_w18_wflw_dark
and hrnetv2_w18_aflw_dark.

    python tools/train.py configs/face/hrnetv2_w18_cofw.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_cofw.py CHECKPOINT
"""

_base_ = ["../_base_/face_cofw.py", "../_base_/face_60_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="FaceHead", scheme="cofw", codec=dict(type="TruncatedHeatmap", sigma=1.5), integer_points=True),
)
