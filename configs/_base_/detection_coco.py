"""Faster R-CNN on HRNetV2p for COCO 2017: 1333 x 800, half of the images mirrored, empty ones not trained."""

custom_imports = dict(imports=["hrtoolkit.tasks.detection"])
model = dict(
    backbone=dict(type="HRNet"),
    neck=dict(type="Pyramid"),
    head=dict(type="FasterRCNNHead", scheme="coco"),
    view=dict(type="FitInside", size=(1333, 800)),
    norm_eval=["backbone"],
)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    dataset=dict(
        type="CocoDetection",
        data_root="data/coco",
        ann_file="annotations/instances_train2017.json",
        image_dir="train2017",
        keep_empty=False,
    ),
    augmentation=dict(type="ResizeAugmentation", flip=0.5),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    dataset=dict(
        type="CocoDetection",
        data_root="data/coco",
        ann_file="annotations/instances_val2017.json",
        image_dir="val2017",
    ),
)
val_evaluator = dict(type="CocoDetectionMetric")
