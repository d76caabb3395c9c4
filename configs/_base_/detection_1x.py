"""mmdetection's 1x schedule: 12 epochs of SGD, steps at 8 and 11, after 500 steps of warm-up from a thousandth.

Gradients are clipped as in the authors' schedule, which warms up from a third of the rate; mmdetection 3 does not clip.
"""

train_cfg = dict(max_epochs=12, val_interval=1)
base_batch_size = 16  # the learning rate is meant for 2 images on each of 8 GPUs; other batches scale it
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=35.0, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[8 / 12, 11 / 12], gamma=0.1),
]
load_from = None
seed = 0
