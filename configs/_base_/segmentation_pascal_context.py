"""PASCAL-Context with 59 classes: the official crops and schedule, tested at its original size in windows of 480.

`data_root` is VOC2010 after tools/convert_labels.py: JPEGImages, label PNGs (0 for background, 1 to 59 in the order of
the original ids), and train.lst and val.lst: a line an image, its path and its label's path below the folder. With
--set model.head.scheme=pascal_context_60 background is a class too.
"""

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/pascal_context",
        list_file="train.lst",
    ),
    augmentation=dict(type="ScaleCropFlip", crop_size=(480, 480), base_size=520),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/pascal_context",
        list_file="val.lst",
    ),
)
val_evaluator = dict(type="SegmentationMetric")
model = dict(
    view=dict(type="WholeImage"),
    head=dict(scheme="pascal_context_59"),
    inference=dict(type="MultiScale", base_size=520, window=(480, 480), stride=(320, 320), edge="pad"),
)
train_cfg = dict(max_epochs=200, val_interval=5)
base_batch_size = 16  # of all GPUs together; other batches scale the learning rate
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.004, momentum=0.9, weight_decay=0.0001))
param_scheduler = [dict(type="PolynomialLR", power=0.9, by_epoch=True, convert_to_iter_based=True)]
sync_batchnorm = True
load_from = None
seed = 0
