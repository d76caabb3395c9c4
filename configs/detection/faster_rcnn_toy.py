"""A small Faster R-CNN on the toy world: the whole way from nothing to boxes and COCO AP in minutes on a laptop's CPU.

Box AP50 0.861 (AP 0.430) on the 200 held-out images, after 600 steps of four.

python tools/make_toy_data.py
python tools/train.py configs/detection/faster_rcnn_toy.py
"""

_base_ = "../_base_/detection_coco.py"

model = dict(
    backbone=dict(width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32, init="kaiming"),
    neck=dict(channels=32),
    head=dict(scheme=["person"], roi_samples=128),
    view=dict(size=(256, 160)),
    norm_eval=[],
)
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    dataset=dict(data_root="data/toy", ann_file="annotations/person_keypoints_train2017.json"),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(data_root="data/toy", ann_file="annotations/person_keypoints_val2017.json"),
)
train_cfg = dict(max_epochs=2, val_interval=2)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05), clip_grad=dict(max_norm=35.0, norm_type=2)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=1e-5, convert_to_iter_based=True),
]
seed = 0
