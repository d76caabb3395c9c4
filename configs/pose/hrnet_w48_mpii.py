"""HRNet-W48 top-down pose on MPII, 256x256.

Scored with the flip test; trained from ImageNet weights, 32 people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w48_mpii.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_mpii.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "PCKh": 90.1,
        "PCKh_at_01": 33.7,
        "note": "the official file was never uploaded",
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w48_mpii_256x256-92cab7bd_20200812.pth",
    },
}

_base_ = ["../_base_/mpii.py", "../_base_/pose_210_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=48, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HeatmapHead", scheme="mpii", codec=dict(type="GaussianHeatmap", sigma=2.0)),
)
