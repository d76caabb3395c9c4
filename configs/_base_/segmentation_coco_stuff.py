"""COCO-Stuff 10k, 171 classes: the official crops and schedule, ten times the rate for the head.

`data_root` is the release after tools/convert_labels.py: train/image, train/label, test/image and test/label; labels
are PNGs of the 10k release's values, 0 for unlabelled and 1 to 182. Those of the 164k release, 0 to 181, need
--set model.head.scheme=coco_stuff_164k.
"""

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/coco_stuff",
        image_dir="train/image",
        label_dir="train/label",
    ),
    augmentation=dict(type="ScaleCropFlip", crop_size=(520, 520), base_size=520),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/coco_stuff",
        image_dir="test/image",
        label_dir="test/label",
    ),
)
val_evaluator = dict(type="SegmentationMetric")
model = dict(
    view=dict(type="WholeImage", short_side=520, pad_to=8),
    head=dict(scheme="coco_stuff", loss=dict(type="OhemCrossEntropy")),
    inference=dict(type="MultiScale", base_size=520, window=(520, 520), stride=(346, 346), edge="pad"),
)
train_cfg = dict(max_epochs=110, val_interval=5)
base_batch_size = 16  # of all GPUs together; other batches scale the learning rate
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.001, momentum=0.9, weight_decay=0.0001),
    paramwise_cfg=dict(custom_keys={"head": dict(lr_mult=10.0)}),
)
param_scheduler = [dict(type="PolynomialLR", power=0.9, by_epoch=True, convert_to_iter_based=True)]
sync_batchnorm = True
load_from = None
seed = 0
