"""The schedule of the official classification releases: SGD, 100 epochs, steps at 30, 60 and 90."""

train_cfg = dict(max_epochs=100, val_interval=1)
base_batch_size = 128  # the learning rate is meant for 32 images on each of 4 GPUs; other batches scale it
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[0.3, 0.6, 0.9], gamma=0.1)]
load_from = None
seed = 0
