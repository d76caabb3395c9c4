"""HigherHRNet-W32 bottom-up pose on CrowdPose, short side 512 (arXiv:1908.10357).

Scored on test with the flip test; trained on train and val from ImageNet weights, 12 images on each of 4 GPUs, Adam
1e-3. Files are crowdpose_trainval.json, which ../_base_/bottom_up_crowdpose.py joins, and crowdpose_test.json. No terms
of the annotations are stated: treat them as research only.

    python tools/train.py configs/pose/higher_hrnet_w32_crowdpose_512.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/higher_hrnet_w32_crowdpose_512.py openmmlab --flip
"""

published = {
    "official": {
        "AP": 65.9,
        "AP_easy": 73.3,
        "AP_medium": 66.5,
        "AP_hard": 57.9,
        "source": "HigherHRNet-Human-Pose-Estimation, README",
        "note": "of a width that it does not name",
    },
    "openmmlab": {
        "AP": 65.5,
        "AP_easy": 72.8,
        "AP_medium": 66.0,
        "AP_hard": 57.7,
        "file": "https://download.openmmlab.com/mmpose/bottom_up/higher_hrnet32_crowdpose_512x512-1aa4a132_20201017.pth",
    },
}

_base_ = ["../_base_/bottom_up_crowdpose.py", "../_base_/pose_300_epochs.py"]

model = dict(
    backbone=dict(type="HRNet", width=32, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HigherHRNetHead", scheme="crowdpose"),
)
