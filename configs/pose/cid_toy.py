"""A small CID on the toy world, short side 128: everybody in an image at once, in minutes on a laptop's CPU.

python tools/make_toy_data.py
python tools/train.py configs/pose/cid_toy.py
"""

_base_ = "../_base_/bottom_up_coco.py"

model = dict(
    backbone=dict(type="HRNet", width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32),
    head=dict(type="CIDHead", scheme="coco", channels=16, smallest=0.0),
    view=dict(size=128),
    finish=dict(type="PoseFinish", score="box", nms_threshold=0.8),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(data_root="data/toy"),
    augmentation=dict(scale=(0.8, 1.25), rotation=10.0, shift=0.1),
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root="data/toy"))
train_cfg = dict(max_epochs=10, val_interval=5)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=2e-5, convert_to_iter_based=True),
]
seed = 0
