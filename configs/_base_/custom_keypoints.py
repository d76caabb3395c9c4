"""Keypoints of one's own: names, skeleton and mirror partners come from the data, the recipe follows its size."""

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
train_cfg = dict(max_epochs=60, val_interval=2, patience=10)
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=True, end=0.05, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0.05, eta_min_ratio=0.01, convert_to_iter_based=True),
]
recipes = [
    dict(
        up_to=100,
        train_dataloader=dict(batch_size=8),
        # A handful to validate on says little: the best of a few epochs, and no early end.
        train_cfg=dict(max_epochs=200, val_interval=50, patience=None),
    ),
    dict(up_to=1000, train_cfg=dict(max_epochs=100, val_interval=10, patience=4)),
]
seed = 0
