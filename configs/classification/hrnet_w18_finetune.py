"""HRNet-W18-C from ImageNet weights on a folder of classes: train/CLASS/ and val/CLASS/.

The classifier starts anew with as many outputs as there are class folders, stem and first stage stay as they are, and
later stages learn faster, the head fastest. Published: none, it depends on the images.

    python tools/train.py configs/classification/hrnet_w18_finetune.py --data-root DIR
"""

_base_ = "hrnet_w18_imagenet.py"

model = dict(
    head=dict(scheme=None),  # from the folders
    frozen=["backbone.conv1", "backbone.bn1", "backbone.conv2", "backbone.bn2", "backbone.layer1"],
)
train_dataloader = dict(num_workers=4, augmentation=dict(scale=(0.25, 1.0)))
val_dataloader = dict(num_workers=4)
train_cfg = dict(max_epochs=20, val_interval=1)
base_batch_size = 32
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={
            "backbone": dict(lr_mult=0.1),
            "backbone.stage3": dict(lr_mult=0.2),
            "backbone.stage4": dict(lr_mult=0.4),
        }
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=True, begin=0, end=1 / 20, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=1 / 20, eta_min_ratio=0.01, convert_to_iter_based=True),
]
load_from = "timm/hrnet_w18.ms_in1k"  # downloaded by timm; or a file, or a checkpoint of another task
