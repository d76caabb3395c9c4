"""W18-small-v1 on the toy world, 96x96: people by pose and by side, eight classes; minutes on a laptop's CPU.

Top-1 0.715 on the held-out images (chance is 0.125).

python tools/make_toy_data.py --classes
python tools/train.py configs/classification/hrnet_toy.py
"""

_base_ = "hrnet_w18_small_v1_imagenet.py"

model = dict(head=dict(scheme=8), view=dict(input_size=(96, 96), crop=1.0))
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(data_root="data/toy_classes"),
    augmentation=dict(scale=(0.7, 1.0)),
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root="data/toy_classes"))
train_cfg = dict(max_epochs=10, val_interval=2)
base_batch_size = 16
optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=0.05))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=5e-6, convert_to_iter_based=True),
]
