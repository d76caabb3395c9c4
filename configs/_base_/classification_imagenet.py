"""ImageNet-1k at 224x224 from class folders train/ and val/: official augmentation and test protocol, top-1.

For the flat validation folder as it is unpacked (lines of an image and its class in val_map.txt):
--set val_dataloader.dataset.type=ImageList val_dataloader.dataset.ann_file=val_map.txt
"""

model = dict(view=dict(type="ResizeCenterCrop"))
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    dataset=dict(type="ImageFolder", data_root="data/imagenet", image_dir="train"),
    augmentation=dict(type="RandomResizedCrop"),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=8,
    dataset=dict(type="ImageFolder", data_root="data/imagenet", image_dir="val"),
)
val_evaluator = dict(type="ClassificationMetric")
