"""HRNet-W18-small-v2-C on ImageNet-1k, 224x224.

The official recipe of arXiv:1908.07919, scored on a central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w18_small_v2_imagenet.py
    python tools/test.py configs/classification/hrnet_w18_small_v2_imagenet.py timm
"""

published = {
    "official": {"top1": 75.1, "top5": 92.4, "file": "hrnet_w18_small_model_v2.pth"},
    "timm": {"top1": 75.094, "top5": 92.414, "file": "timm/hrnet_w18_small_v2.ms_in1k"},
}

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(type="HRNet", width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2, init="kaiming"),
    head=dict(type="ClassificationHead", scheme=1000),
)
