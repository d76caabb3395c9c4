"""HRNet-W18-small-v1-C on ImageNet-1k, 224x224.

The official recipe of arXiv:1908.07919, scored on a central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w18_small_v1_imagenet.py
    python tools/test.py configs/classification/hrnet_w18_small_v1_imagenet.py timm
"""

published = {
    "official": {"top1": 72.3, "top5": 90.7, "file": "hrnet_w18_small_model_v1.pth"},
    "timm": {"top1": 72.34, "top5": 90.688, "file": "timm/hrnet_w18_small.ms_in1k"},
}

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(
        type="HRNet", width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32, init="kaiming"
    ),
    head=dict(type="ClassificationHead", scheme=1000),
)
