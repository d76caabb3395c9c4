"""HRNet-W48 top-down pose on COCO, 256x192.

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4; trained from ImageNet weights, 32
people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w48_coco.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco.py official --flip --boxes DETECTIONS.json
"""

published = {
    "official": {"AP": 75.1, "source": "arXiv:1902.09212, Table 1", "file": "pose_hrnet_w48_256x192.pth"},
    "openmmlab": {
        "AP": 75.6,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-256x192-0e67c616_20220913.pth",
    },
}

_base_ = ["../_base_/coco_keypoints.py", "../_base_/pose_210_epochs.py"]

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=48, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HeatmapHead", scheme="coco", codec=dict(type="GaussianHeatmap", sigma=2.0)),
)
