"""The schedule of the official face releases: Adam without weight decay, 60 epochs, steps at 30 and 50."""

train_cfg = dict(max_epochs=60, val_interval=1)
base_batch_size = 16  # the learning rate is meant for 16 faces on one GPU; other batches scale it
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-4))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[30 / 60, 50 / 60], gamma=0.1)]
load_from = None
seed = 0
