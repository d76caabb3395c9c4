"""HRNet-W32 top-down pose on sub-JHMDB, 256x256.

PCK at 0.2 of the box's longer side, and tPCK at 0.2 of the torso, with the flip test, on the first of three splits
(Sub1_train.json, Sub1_test.json); the others go by --set. The files count pixels from 1. Trained from MPII's weights,
64 people on each of 8 GPUs, Adam 5e-4, 20 epochs. No terms of the annotations are stated: treat them as research only.
Published: none for HRNet (a ResNet-50 of OpenMMLab: PCK 96.0, tPCK 80.1, means of the splits).

    python tools/train.py configs/pose/hrnet_w32_jhmdb.py --set load_from=pose/hrnet_w32_mpii@openmmlab
    python tools/test.py configs/pose/hrnet_w32_jhmdb.py CHECKPOINT --flip
"""

_base_ = "../_base_/keypoint_sets.py"

_dataset = dict(data_root="data/jhmdb", first_pixel=1, apart=True)
model = dict(head=dict(scheme="jhmdb"), view=dict(input_size=(256, 256)), finish=None)
train_dataloader = dict(
    dataset=dict(**_dataset, ann_file="annotations/Sub1_train.json"),
    augmentation=dict(half_body=0.0, scale=0.25, rotation=30.0),
)
val_dataloader = dict(dataset=dict(**_dataset, ann_file="annotations/Sub1_test.json"))
val_evaluator = dict(_delete_=True, type="PckMetric", torso=("left_shoulder", "right_hip"))
train_cfg = dict(max_epochs=20, val_interval=1)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[8 / 20, 15 / 20], gamma=0.1),
]
