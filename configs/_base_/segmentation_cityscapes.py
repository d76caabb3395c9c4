"""Cityscapes, fine annotations: the official crops, class weights and schedule, tested on whole images.

`data_root` holds leftImg8bit/ and gtFine/ as they come from https://www.cityscapes-dataset.com.
"""

train_dataloader = dict(
    batch_size=3,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/cityscapes",
        image_dir="leftImg8bit/train",
        label_dir="gtFine/train",
        image_suffix="_leftImg8bit.png",
        label_suffix="_gtFine_labelIds.png",
    ),
    augmentation=dict(type="ScaleCropFlip", crop_size=(1024, 512), base_size=2048),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    dataset=dict(
        type="SegmentationPairs",
        data_root="data/cityscapes",
        image_dir="leftImg8bit/val",
        label_dir="gtFine/val",
        image_suffix="_leftImg8bit.png",
        label_suffix="_gtFine_labelIds.png",
    ),
)
val_evaluator = dict(type="SegmentationMetric")
model = dict(
    view=dict(type="WholeImage"),
    head=dict(scheme="cityscapes", loss=dict(type="CrossEntropy", class_weights=[
        0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023,
        0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507,
    ])),
    inference=dict(type="MultiScale", base_size=2048, window=(2048, 1024), whole_up_to=1.0),
)  # fmt: skip
train_cfg = dict(max_epochs=484, val_interval=11)
base_batch_size = 12  # of all GPUs together; other batches scale the learning rate
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0005))
param_scheduler = [dict(type="PolynomialLR", power=0.9, by_epoch=True, convert_to_iter_based=True)]
sync_batchnorm = True
load_from = None
seed = 0
