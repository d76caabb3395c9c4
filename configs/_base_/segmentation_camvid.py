"""CamVid in SegNet's version: 11 classes and void, 480x360."""

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/camvid",
        image_dir="train",
        label_dir="trainannot",
    ),
    augmentation=dict(type="ScaleCropFlip", crop_size=(480, 352), base_size=480),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/camvid",
        image_dir="val",
        label_dir="valannot",
    ),
)
val_evaluator = dict(type="SegmentationMetric")
model = dict(view=dict(type="WholeImage"), head=dict(scheme="camvid"), inference=dict(type="MultiScale"))
