"""The schedule of OpenMMLab's top-down pose: Adam without weight decay, 210 epochs, steps at 170 and 200, warm-up."""

train_cfg = dict(max_epochs=210, val_interval=10)
base_batch_size = 512  # the learning rate is meant for 64 people on each of 8 GPUs; other batches scale it
optim_wrapper = dict(optimizer=dict(type="Adam", lr=5e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[170 / 210, 200 / 210], gamma=0.1),
]
load_from = None
seed = 0
