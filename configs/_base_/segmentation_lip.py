"""LIP, parts of people: every image squashed to 473x473, left and right exchanged in mirrored ones.

`data_root` holds train_images/, train_segmentations/, val_images/ and val_segmentations/.
"""

train_dataloader = dict(
    batch_size=10,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/lip",
        image_dir="train_images",
        label_dir="train_segmentations",
    ),
    augmentation=dict(type="ScaleCropFlip", crop_size=(473, 473), base_size=473, scale=(0.5, 1.6)),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/lip",
        image_dir="val_images",
        label_dir="val_segmentations",
    ),
)
val_evaluator = dict(type="SegmentationMetric")
model = dict(
    view=dict(type="WholeImage", squash=(473, 473)),
    head=dict(scheme="lip"),
    inference=dict(type="MultiScale", base_size=473, window=(473, 473), stride=(315, 315), edge="pad"),
)
train_cfg = dict(max_epochs=150, val_interval=5)
base_batch_size = 40  # of all GPUs together; other batches scale the learning rate
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.007, momentum=0.9, weight_decay=0.0005))
param_scheduler = [dict(type="PolynomialLR", power=0.9, by_epoch=True, convert_to_iter_based=True)]
sync_batchnorm = True
load_from = None
seed = 0
