"""HRNet-W30-C on ImageNet-1k, 224x224.

The official recipe of arXiv:1908.07919, scored on a central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w30_imagenet.py
    python tools/test.py configs/classification/hrnet_w30_imagenet.py timm
"""

published = {
    "official": {"top1": 78.2, "top5": 94.2, "file": "hrnetv2_w30_imagenet_pretrained.pth"},
    "timm": {"top1": 78.202, "top5": 94.22, "file": "timm/hrnet_w30.ms_in1k"},
}

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(type="HRNet", width=30, init="kaiming"),
    head=dict(type="ClassificationHead", scheme=1000),
)
