"""The schedule of the cascades: 20 epochs of SGD, steps at 16 and 19."""

_base_ = "detection_1x.py"

train_cfg = dict(max_epochs=20)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[16 / 20, 19 / 20], gamma=0.1),
]
