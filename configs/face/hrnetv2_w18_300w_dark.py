"""HRNetV2-W18 face alignment on 300W with DARK (arXiv:1910.06278), 256x256.

NME in % is divided by the distance of the outer eye corners, with flip test; trained from ImageNet weights, 64 faces on
each of 8 GPUs, Adam 2e-3. One affine warp, no stretched contrast, landmarks with fractions, pixels counted from 1 as
the files do.

    python tools/train.py configs/face/hrnetv2_w18_300w_dark.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_300w_dark.py CHECKPOINT --flip
"""

published = {
    "openmmlab": {
        "NME": 3.45,
        "common": 2.92,
        "challenge": 5.64,
        "test": 4.1,
        "note": "with rounded cells and sigma 1.5; nothing is published with DARK",
    },
}

_base_ = "hrnetv2_w18_300w.py"

model = dict(
    head=dict(codec=dict(_delete_=True, type="DarkHeatmap", sigma=2.0), integer_points=False),
    view=dict(type="TopDown"),
)
train_dataloader = dict(batch_size=64, dataset=dict(first_pixel=1), augmentation=dict(rotation=60.0))
val_dataloader = dict(batch_size=64, dataset=dict(first_pixel=1))
base_batch_size = 512
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[40 / 60, 55 / 60], gamma=0.1),
]
