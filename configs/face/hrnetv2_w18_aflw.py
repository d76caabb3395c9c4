"""HRNetV2-W18 face alignment on AFLW, 256x256, 19 landmarks.

NME in % is divided by the side of the face's box, without flip test; trained from ImageNet weights, 16 faces, Adam
2e-4. The numbers need what this config switches on: crops with stretched contrast (OfficialFaceCrop), cells cut off
instead of rounded (TruncatedHeatmap), and integer landmarks (integer_points). Recipes without are hrnetv2_w18_wflw_dark
and hrnetv2_w18_aflw_dark.

    python tools/train.py configs/face/hrnetv2_w18_aflw.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_aflw.py official
"""

published = {
    "official": {"NME": 1.57, "frontal": 1.46, "file": "HR18-AFLW.pth"},
}

_base_ = ["../_base_/face_aflw.py", "../_base_/face_60_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="FaceHead", scheme="aflw", codec=dict(type="TruncatedHeatmap", sigma=1.5), integer_points=True),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
