"""HRNetV2-W18 face alignment on WFLW, 256x256.

NME in % is divided by the distance of the outer eye corners, without flip test; trained from ImageNet weights, 16
faces, Adam 1e-4. The numbers need what this config switches on: crops with stretched contrast (OfficialFaceCrop), cells
cut off instead of rounded (TruncatedHeatmap), and integer landmarks (integer_points). Recipes without are
hrnetv2_w18_wflw_dark and hrnetv2_w18_aflw_dark.

    python tools/train.py configs/face/hrnetv2_w18_wflw.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_wflw.py official
"""

published = {
    "official": {
        "NME": 4.6,
        "pose": 7.86,
        "expression": 4.78,
        "illumination": 4.57,
        "makeup": 4.26,
        "occlusion": 5.42,
        "blur": 5.36,
        "file": "HR18-WFLW.pth",
    },
    "paper": {
        "NME": 4.6,
        "pose": 7.94,
        "expression": 4.85,
        "illumination": 4.55,
        "makeup": 4.29,
        "occlusion": 5.44,
        "blur": 5.42,
        "source": "arXiv:1908.07919",
    },
}

_base_ = ["../_base_/face_wflw.py", "../_base_/face_60_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="FaceHead", scheme="wflw", codec=dict(type="TruncatedHeatmap", sigma=1.5), integer_points=True),
)
