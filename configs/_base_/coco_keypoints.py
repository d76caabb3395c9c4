"""COCO 2017 person keypoints: official augmentation, validation on annotated boxes."""

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/coco",
        ann_file="annotations/person_keypoints_train2017.json",
        image_dir="train2017",
        transform=dict(type="TopDownAffine", input_size=(192, 256), half_body=0.3, scale=0.35, rotation=45.0, flip=0.5),
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/coco",
        ann_file="annotations/person_keypoints_val2017.json",
        image_dir="val2017",
        transform=dict(type="TopDownAffine", input_size=(192, 256)),
    ),
)
val_evaluator = dict(type="CocoKeypointMetric")
