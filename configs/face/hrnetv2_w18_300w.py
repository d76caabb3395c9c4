"""HRNetV2-W18 face alignment on 300W, 256x256.

NME in % is divided by the distance of the outer eye corners, without flip test; NME by itself is that of the full set.
Trained from ImageNet weights, 16 faces, Adam 1e-4. Validation is on full; --set val_dataloader.dataset.folders=test is
the other. The numbers need what this config switches on: crops with stretched contrast (OfficialFaceCrop), cells cut
off instead of rounded (TruncatedHeatmap), and integer landmarks (integer_points). Recipes without are
hrnetv2_w18_wflw_dark and hrnetv2_w18_aflw_dark.

    python tools/train.py configs/face/hrnetv2_w18_300w.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_300w.py official
"""

published = {
    "official": {"NME": 3.34, "common": 2.91, "challenge": 5.11, "test": 3.85, "file": "HR18-300W.pth"},
    "paper": {"NME": 3.32, "common": 2.87, "challenge": 5.15, "test": 3.85, "source": "arXiv:1908.07919"},
}

_base_ = ["../_base_/face_300w.py", "../_base_/face_60_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(type="FaceHead", scheme="300w", codec=dict(type="TruncatedHeatmap", sigma=1.0), integer_points=True),
)
