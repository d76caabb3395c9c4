"""HRNetV2-W18-small-v2 on label maps of your own: images/train, labels/train, images/val and labels/val; 512x512 crops.

A label is a PNG with one value a pixel, called as its image; `model.head.scheme` names the classes and may say which
values stand for them (ids). Published: none, it depends on the images.

    hrtoolkit train segmentation/hrnetv2_w18_small_v2_custom --data-root DIR --set model.head.scheme=[background,road]
"""

custom_imports = dict(imports=["hrtoolkit.tasks.segmentation"])
_dataset = dict(type="SegmentationPairs", data_root="data/own")
model = dict(
    backbone=dict(
        type="HRNet", width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2, fuse_upsample="bilinear", bn_momentum=0.01
    ),
    view=dict(type="WholeImage", short_side=512),
    head=dict(type="SegmentationHead", scheme=None),
    inference=dict(type="MultiScale"),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(**_dataset, image_dir="images/train", label_dir="labels/train"),
    augmentation=dict(type="ScaleCropFlip", crop_size=(512, 512), base_size=512, scale=(0.5, 2.0)),
)
val_dataloader = dict(
    batch_size=1, num_workers=2, dataset=dict(**_dataset, image_dir="images/val", label_dir="labels/val")
)
val_evaluator = dict(type="SegmentationMetric")
train_cfg = dict(max_epochs=100, val_interval=5, patience=6)
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.01))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=True, end=0.05, convert_to_iter_based=True),
    dict(type="PolynomialLR", power=0.9, by_epoch=True, convert_to_iter_based=True),
]
load_from = "timm/hrnet_w18_small_v2.ms_in1k"  # downloaded by timm; or a file
seed = 0
