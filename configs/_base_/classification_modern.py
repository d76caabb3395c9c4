"""A modern recipe: AdamW, 300 epochs, cosine after 5 of warm-up, RandAugment, erasing, mixup, CutMix, averaged weights.

After timm and DeiT (Touvron et al., arXiv:2012.12877), without repeated augmentation.
--set optim_wrapper.optimizer.type=Lamb takes LAMB (arXiv:1904.00962) instead of AdamW.
"""

_base_ = "classification_imagenet.py"

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    view=dict(interpolation="bicubic"),
    augment=dict(type="MixAndErase", mixup=0.8, cutmix=1.0, switch=0.5, erase=0.25),
    head=dict(label_smoothing=0.1),
)
train_dataloader = dict(batch_size=128, augmentation=dict(interpolation="bicubic", auto_augment="rand-m9-mstd0.5-inc1"))
train_cfg = dict(max_epochs=300, val_interval=1)
base_batch_size = 1024  # the learning rate is meant for 128 images on each of 8 GPUs; other batches scale it
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=True, begin=0, end=5 / 300, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=5 / 300, eta_min=1e-5, convert_to_iter_based=True),
]
custom_hooks = [dict(type="EMAHook", momentum=2e-4)]
load_from = None
seed = 0
