"""HRNet-W18-small-v2-C from ImageNet weights on a folder of classes, train/CLASS/ and val/CLASS/; for CPUs.

As hrnet_w18_finetune, with 15.6 M parameters instead of 21.3. Published: none, it depends on the images.

    hrtoolkit train classification/hrnet_w18_small_v2_finetune --data-root DIR
"""

_base_ = "hrnet_w18_finetune.py"

model = dict(backbone=dict(modules=(1, 3, 2), blocks=2, layer1_blocks=2))
load_from = "timm/hrnet_w18_small_v2.ms_in1k"  # downloaded by timm; or a file, or a checkpoint of another task
