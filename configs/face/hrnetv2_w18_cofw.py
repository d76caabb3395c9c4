"""HRNetV2-W18 face alignment on COFW, 256x256.

NME in % is divided by the distance of the outer eye corners, without flip test; failures are those above 10 %, in %.
Trained from ImageNet weights, 16 faces, Adam 1e-4. Needs h5py. The numbers need what this config switches on: crops
with stretched contrast (OfficialFaceCrop), cells cut off instead of rounded (TruncatedHeatmap), and integer landmarks
(integer_points). Recipes without are hrnetv2_w18_wflw_dark and hrnetv2_w18_aflw_dark.

    python tools/train.py configs/face/hrnetv2_w18_cofw.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_cofw.py official
"""

published = {
    "official": {"NME": 3.45, "failures": 0.2, "file": "HR18-COFW.pth"},
    "paper": {"NME": 3.45, "failures": 0.19, "source": "arXiv:1908.07919"},
}

_base_ = ["../_base_/face_cofw.py", "../_base_/face_60_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="FaceHead", scheme="cofw", codec=dict(type="TruncatedHeatmap", sigma=1.5), integer_points=True),
)
