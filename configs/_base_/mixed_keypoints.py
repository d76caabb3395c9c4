"""Top-down pose of one HRNet-W32 on several keypoint sets at once, by the recipe of keypoint_sets.py.

Channels are found by the names of keypoints; a set's loss is that of the keypoints that it has. Every step takes people
of each set, and an epoch is as long as the longest one. Each set is scored by itself, as its own config scores it: by
its own keypoints, fall-offs and metric, of those keypoints that the network has.
"""

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=32, num_outputs=1),
    branches=dict(
        pose=dict(
            neck=dict(type="HighestResolution"),
            head=dict(type="HeatmapHead", codec=dict(type="GaussianHeatmap", sigma=2.0)),
            view=dict(type="TopDown", input_size=(192, 256)),
            finish=dict(type="PoseFinish"),
        ),
    ),
)
train_dataloader = dict(num_workers=4)
train_cfg = dict(max_epochs=210, val_interval=10)
base_batch_size = 512  # the learning rate is meant for 64 people on each of 8 GPUs; other batches scale it
optim_wrapper = dict(optimizer=dict(type="Adam", lr=5e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[170 / 210, 200 / 210], gamma=0.1),
]
load_from = None
seed = 0
