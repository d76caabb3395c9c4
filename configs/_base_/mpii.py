"""MPII Human Pose: official augmentation, PCKh on the validation split."""

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type="MpiiPose",
        data_root="data/mpii",
        ann_file="annot/train.json",
        image_dir="images",
        transform=dict(type="TopDownAffine", input_size=(256, 256), scale=0.25, rotation=30.0, flip=0.5),
    ),
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
        transform=dict(type="TopDownAffine", input_size=(256, 256)),
    ),
)
val_evaluator = dict(type="MpiiPckMetric")
