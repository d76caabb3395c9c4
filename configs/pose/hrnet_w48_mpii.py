"""HRNet-W48 top-down pose on MPII, 256x256.

Published: 90.1 PCKh, and 33.7 at 0.1 (OpenMMLab; the official file was never uploaded),
flip test, from ImageNet weights; 32 people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w48_mpii.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_mpii.py CHECKPOINT --flip
"""

_base_ = ["../_base_/mpii.py", "../_base_/pose_210_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=48, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HeatmapHead", scheme="mpii", codec=dict(type="GaussianHeatmap", sigma=2.0)),
)
