"""Keypoints of one's own: names, skeleton and mirror partners come from the data, the recipe follows its size."""

_base_ = "custom_schedule.py"

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    view=dict(type="TopDown", input_size=(192, 256)),
    head=dict(type="HeatmapHead", scheme=None, codec=dict(type="UDPHeatmap", sigma=2.0)),
    finish=dict(type="PoseFinish"),
)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(type="CocoKeypoints", data_root="data/own", ann_file="train.json", image_dir=""),
    augmentation=dict(type="PoseAugmentation", half_body=0.0, scale=0.35, rotation=40.0, flip=0.5),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(type="CocoKeypoints", data_root="data/own", ann_file="val.json", image_dir=""),
)
val_evaluator = dict(type="CocoKeypointMetric")
