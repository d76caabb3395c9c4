"""The schedule of the official pose releases: Adam without weight decay, 210 epochs, steps at 170 and 200."""

train_cfg = dict(max_epochs=210, val_interval=1)
base_batch_size = 128  # the learning rate is meant for 32 people on each of 4 GPUs; other batches scale it
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[170 / 210, 200 / 210], gamma=0.1)]
load_from = None
seed = 0
