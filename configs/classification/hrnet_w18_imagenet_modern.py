"""HRNet-W18-C on ImageNet-1k, 224x224, by a modern recipe.

The recipe is that of baoshengyu/HRNet; 128 images on each of 8 GPUs, AdamW 1e-3.

    python tools/train.py configs/classification/hrnet_w18_imagenet_modern.py --amp
"""

published = {
    "baoshengyu/HRNet": {"top1": 78.6, "note": "300 epochs, also with repeated augmentation"},
}

_base_ = "../_base_/classification_modern.py"

model = dict(backbone=dict(type="HRNet", width=18, init="kaiming"), head=dict(type="ClassificationHead", scheme=1000))
