"""HRNet-W64-C on ImageNet-1k, 224x224.

The official recipe of arXiv:1908.07919, scored on a central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w64_imagenet.py
    python tools/test.py configs/classification/hrnet_w64_imagenet.py timm
"""

published = {
    "official": {"top1": 79.5, "top5": 94.6, "file": "hrnetv2_w64_imagenet_pretrained.pth"},
    "timm": {"top1": 79.458, "top5": 94.646, "file": "timm/hrnet_w64.ms_in1k"},
}

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(type="HRNet", width=64, init="kaiming"),
    head=dict(type="ClassificationHead", scheme=1000),
)
