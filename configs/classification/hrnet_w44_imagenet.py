"""HRNet-W44-C on ImageNet-1k, 224x224.

The official recipe of arXiv:1908.07919, scored on a central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w44_imagenet.py
    python tools/test.py configs/classification/hrnet_w44_imagenet.py timm
"""

published = {
    "official": {"top1": 78.9, "top5": 94.4, "file": "hrnetv2_w44_imagenet_pretrained.pth"},
    "timm": {"top1": 78.89, "top5": 94.376, "file": "timm/hrnet_w44.ms_in1k"},
}

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(type="HRNet", width=44, init="kaiming"),
    head=dict(type="ClassificationHead", scheme=1000),
)
