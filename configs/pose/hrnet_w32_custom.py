"""HRNet-W32 on keypoints of your own, of people, animals or things, as many as there are; 256x192.

The data is an export of a labelling tool, or a file in COCO's format; names, skeleton and mirror partners come from it,
and the recipe from how much there is. Published: none, it depends on the images.

    hrtoolkit train pose/hrnet_w32_custom --data EXPORT
    hrtoolkit predict work_dirs/pose/hrnet_w32_custom/best.pth PICTURES --boxes whole --out found
"""

_base_ = "../_base_/custom_keypoints.py"

model = dict(backbone=dict(type="HRNet", width=32, num_outputs=1), neck=dict(type="HighestResolution"))
load_from = "timm/hrnet_w32.ms_in1k"  # downloaded by timm; or a file, such as a model of COCO's people
