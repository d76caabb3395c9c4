"""ADE20K, 150 classes: the official crops and schedule, tested at a short side of 520 with its padding left on.

`data_root` is ADEChallengeData2016 as it comes from http://sceneparsing.csail.mit.edu.
"""

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/ade20k",
        image_dir="images/training",
        label_dir="annotations/training",
    ),
    augmentation=dict(type="ScaleCropFlip", crop_size=(520, 520), base_size=520, scale=(0.5, 1.6)),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/ade20k",
        image_dir="images/validation",
        label_dir="annotations/validation",
    ),
)
val_evaluator = dict(type="SegmentationMetric")
model = dict(
    view=dict(type="WholeImage", short_side=520, pad_to=8, crop_padding=False),
    head=dict(scheme="ade20k", loss=dict(type="OhemCrossEntropy")),
    inference=dict(type="MultiScale", base_size=520, window=(520, 520), stride=(346, 346), edge="pad"),
)
train_cfg = dict(max_epochs=120, val_interval=4)
base_batch_size = 16  # of all GPUs together; other batches scale the learning rate
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=0.0001))
param_scheduler = [dict(type="PolynomialLR", power=0.9, by_epoch=True, convert_to_iter_based=True)]
sync_batchnorm = True
load_from = None
seed = 0
