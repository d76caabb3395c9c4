"""The schedule of HigherHRNet: Adam without weight decay, 300 epochs, steps at 200 and 260."""

train_cfg = dict(max_epochs=300, val_interval=10)
base_batch_size = 48  # the learning rate is meant for 12 images on each of 4 GPUs; other batches scale it
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[200 / 300, 260 / 300], gamma=0.1)]
load_from = None
seed = 0
