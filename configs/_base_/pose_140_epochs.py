"""The schedule of CID and DEKR on COCO: Adam without weight decay, 140 epochs, steps at 90 and 120."""

train_cfg = dict(max_epochs=140, val_interval=10)
base_batch_size = 40  # the learning rate is meant for 40 images a step; other batches scale it
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[90 / 140, 120 / 140], gamma=0.1)]
load_from = None
seed = 0
