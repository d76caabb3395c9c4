"""Top-down pose on public keypoint sets as OpenMMLab trains it: HRNet-W32, Adam without weight decay, 210 epochs.

Its augmentation also shifts boxes by up to 16 %, which is not done here.
"""

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=32, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HeatmapHead", codec=dict(type="GaussianHeatmap", sigma=2.0)),
    view=dict(type="TopDown", input_size=(192, 256)),
    finish=dict(type="PoseFinish"),
)
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    dataset=dict(type="CocoKeypoints", image_dir=""),
    augmentation=dict(type="PoseAugmentation", half_body=0.3, scale=0.5, rotation=40.0, flip=0.5),
)
val_dataloader = dict(batch_size=32, num_workers=4, dataset=dict(type="CocoKeypoints", image_dir=""))
val_evaluator = dict(type="CocoKeypointMetric")
train_cfg = dict(max_epochs=210, val_interval=10)
base_batch_size = 512  # the learning rate is meant for 64 people on each of 8 GPUs; other batches scale it
optim_wrapper = dict(optimizer=dict(type="Adam", lr=5e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[170 / 210, 200 / 210], gamma=0.1),
]
load_from = None
seed = 0
