"""HRNet-W32-C on ImageNet-1k, 224x224.

The official recipe of arXiv:1908.07919, scored on a central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w32_imagenet.py
    python tools/test.py configs/classification/hrnet_w32_imagenet.py timm
"""

published = {
    "official": {"top1": 78.5, "top5": 94.2, "file": "hrnetv2_w32_imagenet_pretrained.pth"},
    "timm": {"top1": 78.452, "top5": 94.184, "file": "timm/hrnet_w32.ms_in1k"},
    "openmmlab": {
        "note": "the official weights",
        "file": "https://download.openmmlab.com/pretrain/third_party/hrnetv2_w32-dc9eeb4f.pth",
    },
}

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(type="HRNet", width=32, init="kaiming"),
    head=dict(type="ClassificationHead", scheme=1000),
)
