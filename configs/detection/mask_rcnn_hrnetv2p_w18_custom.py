"""Mask R-CNN on HRNetV2p-W18, on masks or polygons of your own; 1024 x 640.

The data is an export of a labelling tool, or a file in COCO's format; the classes come from it, and the recipe from how
much there is. Published: none, it depends on the images.

    hrtoolkit train detection/mask_rcnn_hrnetv2p_w18_custom --data EXPORT
    hrtoolkit predict work_dirs/detection/mask_rcnn_hrnetv2p_w18_custom/best.pth PICTURES --out found
"""

_base_ = "faster_rcnn_hrnetv2p_w18_custom.py"

model = dict(head=dict(masks=True))
