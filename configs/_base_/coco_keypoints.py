"""COCO 2017 person keypoints: official augmentation, validation on annotated boxes."""

model = dict(view=dict(type="TopDown", input_size=(192, 256)), finish=dict(type="PoseFinish"))
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/coco",
        ann_file="annotations/person_keypoints_train2017.json",
        image_dir="train2017",
    ),
    augmentation=dict(type="PoseAugmentation", half_body=0.3, scale=0.35, rotation=45.0, flip=0.5),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/coco",
        ann_file="annotations/person_keypoints_val2017.json",
        image_dir="val2017",
    ),
)
val_evaluator = dict(type="CocoKeypointMetric")
