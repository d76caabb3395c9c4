"""HRNetV2-W18-small-v2 on landmarks of your own, 256x256, for CPUs and small data.

The data is an export of a labelling tool, or a file in COCO's keypoint format; names and mirror partners come from it,
and the recipe from how much there is. Published: none, it depends on the images.

    hrtoolkit train face/hrnetv2_w18_small_v2_custom --data EXPORT
    hrtoolkit predict work_dirs/face/hrnetv2_w18_small_v2_custom/best.pth PICTURES --boxes whole --out found
"""

_base_ = "hrnetv2_w18_custom.py"

model = dict(backbone=dict(modules=(1, 3, 2), blocks=2, layer1_blocks=2))
load_from = "timm/hrnet_w18_small_v2.ms_in1k"  # downloaded by timm; or a file
