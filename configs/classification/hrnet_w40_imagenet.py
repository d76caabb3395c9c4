"""HRNet-W40-C on ImageNet-1k, 224x224, 57.6M parameters.

Published: 78.9 top-1 (official release of arXiv:1908.07919), central crop; 32 images on each of 4 GPUs, SGD 0.05.

    python tools/train.py configs/classification/hrnet_w40_imagenet.py
    python tools/test.py configs/classification/hrnet_w40_imagenet.py timm/hrnet_w40.ms_in1k
"""

_base_ = ["../_base_/classification_imagenet.py", "../_base_/classification_100_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.classification"])
model = dict(
    backbone=dict(type="HRNet", width=40, init="kaiming"),
    head=dict(type="ClassificationHead", scheme=1000),
)
