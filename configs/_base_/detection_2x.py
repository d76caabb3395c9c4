"""mmdetection's 2x schedule: 24 epochs of SGD, steps at 16 and 22; the authors' own has them at 20 and 23."""

_base_ = "detection_1x.py"

train_cfg = dict(max_epochs=24)
