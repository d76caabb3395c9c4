"""COCO 2017 person keypoints, whole images: official augmentation of bottom-up pose, validation on all images."""

custom_imports = dict(imports=["hrtoolkit.tasks.pose", "hrtoolkit.tasks.bottom_up"])
model = dict(view=dict(type="ShortSide", size=512))
train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/coco",
        ann_file="annotations/person_keypoints_train2017.json",
        image_dir="train2017",
        keep_empty=False,
    ),
    augmentation=dict(type="AffineAugmentation"),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/coco",
        ann_file="annotations/person_keypoints_val2017.json",
        image_dir="val2017",
    ),
)
val_evaluator = dict(type="CocoKeypointMetric")
