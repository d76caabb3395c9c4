"""A small CID on the toy world, short side 192: everybody in an image at once, on a laptop's CPU.

python tools/make_toy_data.py
python tools/train.py configs/pose/cid_toy.py

AP 0.69 on held-out images after half an hour of one core. Without weights to start from the official options
are slow: this network starts as a classifier does (He).
"""

_base_ = "../_base_/bottom_up_coco.py"

model = dict(
    backbone=dict(
        type="HRNet",
        width=16,
        modules=(1, 1, 1),
        blocks=2,
        layer1_blocks=1,
        layer1_planes=8,
        stem_width=16,
        init="kaiming",
    ),
    head=dict(type="CIDHead", scheme="coco", channels=16, smallest=0),
    view=dict(size=192),
    flip_test=True,
)
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    dataset=dict(data_root="data/toy"),
    augmentation=dict(scale=(1.0, 1.2), rotation=0.0, shift=0.0),
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root="data/toy"))
train_cfg = dict(max_epochs=24, val_interval=24)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=3e-3, betas=(0.9, 0.99)))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=3e-5, convert_to_iter_based=True),
]
seed = 0
