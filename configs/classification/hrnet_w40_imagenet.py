"""HRNet-W40-C on ImageNet-1k, 224x224.

The official recipe of arXiv:1908.07919, scored on a central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w40_imagenet.py
    python tools/test.py configs/classification/hrnet_w40_imagenet.py timm
"""

published = {
    "official": {"top1": 78.9, "top5": 94.5, "file": "hrnetv2_w40_imagenet_pretrained.pth"},
    "timm": {"top1": 78.928, "top5": 94.48, "file": "timm/hrnet_w40.ms_in1k"},
    "openmmlab": {
        "note": "the official weights",
        "file": "https://download.openmmlab.com/pretrain/third_party/hrnetv2_w40-ed0b031c.pth",
    },
}

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(type="HRNet", width=40, init="kaiming"),
    head=dict(type="ClassificationHead", scheme=1000),
)
