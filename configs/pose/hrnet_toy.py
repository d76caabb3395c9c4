"""A small HRNet on the toy world, 128x96: the whole way from nothing to COCO AP in minutes on a laptop's CPU.

python tools/make_toy_data.py
python tools/train.py configs/pose/hrnet_toy.py
"""

_base_ = "../_base_/coco_keypoints.py"

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(
        type="HRNet", width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32, num_outputs=1
    ),
    neck=dict(type="HighestResolution"),
    head=dict(type="HeatmapHead", scheme="coco", codec=dict(type="UDPHeatmap", sigma=1.5, blur_kernel=7)),
    view=dict(input_size=(96, 128)),
)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(data_root="data/toy"),
    augmentation=dict(half_body=0.0, scale=0.15, rotation=10.0),
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root="data/toy"))
train_cfg = dict(max_epochs=14, val_interval=4)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=2e-5, convert_to_iter_based=True),
]
seed = 0
