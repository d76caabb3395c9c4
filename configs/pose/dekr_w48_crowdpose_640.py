"""DEKR-W48 bottom-up pose on CrowdPose, short side 640 (arXiv:2104.02300).

Scored on test with the flip test and the net that rescores people, whose official weights lie in a file of their own;
trained on train and val from ImageNet weights, 5 images on each of 8 GPUs, Adam 1e-3. Files are
crowdpose_trainval.json, which ../_base_/bottom_up_crowdpose.py joins, and crowdpose_test.json. No terms of the
annotations are stated: treat them as research only.

    python tools/train.py configs/pose/dekr_w48_crowdpose_640.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/dekr_w48_crowdpose_640.py openmmlab --flip
    python tools/test.py configs/pose/dekr_w48_crowdpose_640.py pose_dekr_hrnetw48_crowdpose.pth --flip \\
        --set model.head.rescore=final_rescore_crowd_pose_kpt.pth
"""

published = {
    "official": {
        "AP": 67.3,
        "AP_easy": 74.6,
        "AP_medium": 68.1,
        "AP_hard": 58.7,
        "source": "DEKR, README",
        "note": "68.0 at scales 0.5, 1 and 2; weights on the authors' page: "
        "pose_crowdpose/pose_dekr_hrnetw48_crowdpose.pth",
    },
    "openmmlab": {
        "AP": 67.9,
        "AP_easy": 75.3,
        "AP_medium": 68.8,
        "AP_hard": 59.3,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/dekr/crowdpose/dekr_hrnet-w48_8xb5-300e_crowdpose-640x640_4ea6031e-20230128.pth",
    },
}

_base_ = "dekr_w32_crowdpose_512.py"

model = dict(backbone=dict(width=48), head=dict(channels=48), view=dict(size=640))
train_dataloader = dict(batch_size=5)
