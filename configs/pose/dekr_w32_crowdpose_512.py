"""DEKR-W32 bottom-up pose on CrowdPose, short side 512 (arXiv:2104.02300).

Scored on test with the flip test and the net that rescores people, whose official weights lie in a file of their own;
trained on train and val from ImageNet weights, 10 images on each of 4 GPUs, Adam 1e-3. Files are
crowdpose_trainval.json, which ../_base_/bottom_up_crowdpose.py joins, and crowdpose_test.json. No terms of the
annotations are stated: treat them as research only.

    python tools/train.py configs/pose/dekr_w32_crowdpose_512.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/dekr_w32_crowdpose_512.py openmmlab --flip
    python tools/test.py configs/pose/dekr_w32_crowdpose_512.py pose_dekr_hrnetw32_crowdpose.pth --flip \\
        --set model.head.rescore=final_rescore_crowd_pose_kpt.pth
"""

published = {
    "official": {
        "AP": 65.7,
        "AP_easy": 73.0,
        "AP_medium": 66.4,
        "AP_hard": 57.5,
        "source": "DEKR, README",
        "note": "67.0 at scales 0.5, 1 and 2; weights on the authors' page: "
        "pose_crowdpose/pose_dekr_hrnetw32_crowdpose.pth",
    },
    "openmmlab": {
        "AP": 66.3,
        "AP_easy": 74.0,
        "AP_medium": 67.1,
        "AP_hard": 57.6,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/dekr/crowdpose/dekr_hrnet-w32_8xb10-300e_crowdpose-512x512_147bae97-20221228.pth",
    },
}

_base_ = ["../_base_/bottom_up_crowdpose.py", "../_base_/pose_300_epochs.py"]

model = dict(
    backbone=dict(type="HRNet", width=32),
    # The published weights were trained with this sigma, half of COCO's.
    head=dict(type="DEKRHead", scheme="crowdpose", center_sigma=2.0, smallest_area=0.0, scale_decay=0.8, rescore=True),
)
train_dataloader = dict(batch_size=10)
base_batch_size = 40
