"""HRNet-W32 top-down pose on MPII, 256x256.

Scored with the flip test; trained from ImageNet weights, 32 people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w32_mpii.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_mpii.py official --flip
"""

published = {
    "official": {
        "PCKh": 90.3,
        "PCKh_at_01": 37.7,
        "source": "arXiv:1902.09212, Table 3",
        "note": 'its "0.1" was 0.11',
        "file": "pose_hrnet_w32_256x256.pth",
    },
    "openmmlab": {
        "PCKh": 90.0,
        "PCKh_at_01": 33.4,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_mpii_256x256-6c4f923f_20200812.pth",
    },
}

_base_ = ["../_base_/mpii.py", "../_base_/pose_210_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=32, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HeatmapHead", scheme="mpii", codec=dict(type="GaussianHeatmap", sigma=2.0)),
)
