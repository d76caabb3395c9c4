"""HRNetV2-W18 face alignment on WFLW with DARK (arXiv:1910.06278), 256x256.

NME in % is divided by the distance of the outer eye corners, with flip test; trained from ImageNet weights, 64 faces on
each of 8 GPUs, Adam 2e-3. One affine warp, no stretched contrast, landmarks with fractions.

    python tools/train.py configs/face/hrnetv2_w18_wflw_dark.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_wflw_dark.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "NME": 3.98,
        "pose": 6.98,
        "expression": 4.29,
        "illumination": 3.96,
        "makeup": 3.89,
        "occlusion": 4.78,
        "blur": 4.56,
        "file": "https://download.openmmlab.com/mmpose/face/darkpose/hrnetv2_w18_wflw_256x256_dark-3f8e0c2c_20210125.pth",
    },
}

_base_ = "hrnetv2_w18_wflw.py"

model = dict(
    head=dict(codec=dict(_delete_=True, type="DarkHeatmap", sigma=2.0), integer_points=False),
    view=dict(type="TopDown"),
)
train_dataloader = dict(batch_size=64, augmentation=dict(rotation=60.0))
val_dataloader = dict(batch_size=64)
base_batch_size = 512
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[40 / 60, 55 / 60], gamma=0.1),
]
