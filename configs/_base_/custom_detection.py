"""Boxes or masks of one's own: the classes come from the data, the recipe follows its size."""

_base_ = ["detection_coco.py", "custom_schedule.py"]

model = dict(head=dict(scheme=None), view=dict(size=(1024, 640)))
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    dataset=dict(data_root="data/own", ann_file="train.json", image_dir="", keep_empty=True),
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root="data/own", ann_file="val.json", image_dir=""))
train_cfg = dict(max_epochs=24, val_interval=1, patience=6)
optim_wrapper = dict(optimizer=dict(lr=2e-4, weight_decay=0.05), clip_grad=dict(max_norm=35.0, norm_type=2))
recipes = [
    dict(
        up_to=100,
        model=dict(frozen=["backbone.conv1", "backbone.bn1", "backbone.conv2", "backbone.bn2", "backbone.layer1"]),
        train_cfg=dict(max_epochs=100, val_interval=5, patience=None),  # a handful to validate on says little
    ),
    dict(up_to=1000, train_cfg=dict(max_epochs=50, val_interval=2, patience=6)),
]
