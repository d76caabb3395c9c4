"""CamVid in SegNet's version: 11 classes and void, 480x360."""

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/camvid",
        classes="camvid",
        image_dir="train",
        label_dir="trainannot",
        transform=dict(type="ScaleCropFlip", crop_size=(480, 352), base_size=480),
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/camvid",
        classes="camvid",
        image_dir="val",
        label_dir="valannot",
        transform=dict(type="WholeImage"),
    ),
)
val_evaluator = dict(type="SegmentationMetric")
model = dict(inference=dict(type="MultiScale"))
