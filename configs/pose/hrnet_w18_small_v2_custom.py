"""HRNet-W18-small-v2 on keypoints of your own, 256x192: a fifth of W32's work, for CPUs and small data.

The data is an export of a labelling tool, or a file in COCO's format; names, skeleton and mirror partners come from it,
and the recipe from how much there is. Published: none, it depends on the images.

    hrtoolkit train pose/hrnet_w18_small_v2_custom --data EXPORT
    hrtoolkit predict work_dirs/pose/hrnet_w18_small_v2_custom/best.pth PICTURES --boxes whole --out found
"""

_base_ = "../_base_/custom_keypoints.py"

model = dict(
    backbone=dict(type="HRNet", width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2, num_outputs=1),
    neck=dict(type="HighestResolution"),
)
load_from = "timm/hrnet_w18_small_v2.ms_in1k"  # downloaded by timm; or a file
