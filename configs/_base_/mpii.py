"""MPII Human Pose: official augmentation, PCKh on the validation split."""

model = dict(view=dict(type="TopDown", input_size=(256, 256)))
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type="MpiiPose",
        data_root="data/mpii",
        ann_file="annot/train.json",
        image_dir="images",
    ),
    augmentation=dict(type="PoseAugmentation", scale=0.25, rotation=30.0, flip=0.5),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type="MpiiPose",
        data_root="data/mpii",
        ann_file="annot/valid.json",
        image_dir="images",
        gt_file="annot/gt_valid.mat",
    ),
)
val_evaluator = dict(type="MpiiPckMetric")
