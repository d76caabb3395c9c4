"""mmdetection's 2x schedule: 24 epochs of SGD, steps at 16 and 22; the authors' own has them at 20 and 23."""

_base_ = "detection_1x.py"

train_cfg = dict(max_epochs=24)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[16, 22], gamma=0.1),
]
