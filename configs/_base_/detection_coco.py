"""COCO 2017 instances: 1333 x 800, mirrored half of the time; images without objects are not trained."""

train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    dataset=dict(
        type="CocoDetection",
        data_root="data/coco",
        ann_file="annotations/instances_train2017.json",
        image_dir="train2017",
        classes="coco",
        keep_empty=False,
        transform=dict(type="ResizeFlip", sizes=[(1333, 800)], flip=0.5),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    dataset=dict(
        type="CocoDetection",
        data_root="data/coco",
        ann_file="annotations/instances_val2017.json",
        image_dir="val2017",
        classes="coco",
        transform=dict(type="ResizeFlip", sizes=[(1333, 800)]),
    ),
)
val_evaluator = dict(type="CocoDetectionMetric")
