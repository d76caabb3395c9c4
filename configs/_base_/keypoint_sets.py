"""Top-down pose on public keypoint sets as OpenMMLab trains it: HRNet-W32, Adam without weight decay, 210 epochs.

Its augmentation also shifts boxes by up to 16 %, which is not done here.
"""

_base_ = "pose_210_epochs_openmmlab.py"

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
