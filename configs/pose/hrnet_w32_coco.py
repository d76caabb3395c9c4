"""HRNet-W32 top-down pose on COCO, 256x192.

Published: 74.4 AP (arXiv:1902.09212, Table 1), val2017,
boxes of the detector with person AP 56.4, flip test, from ImageNet weights; 32 people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w32_coco.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco.py CHECKPOINT --flip --boxes DETECTIONS.json
"""

_base_ = ["../_base_/coco_keypoints.py", "../_base_/pose_210_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=32, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HeatmapHead", scheme="coco", codec=dict(type="GaussianHeatmap", sigma=2.0)),
)
