"""DEKR-W32 bottom-up pose on COCO, short side 512 (arXiv:2104.02300).

Scored on all of val2017 with the flip test and the net that rescores people, whose official weights lie in a file of
their own; trained from ImageNet weights, 10 images on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/dekr_w32_coco_512.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/dekr_w32_coco_512.py openmmlab --flip
    python tools/test.py configs/pose/dekr_w32_coco_512.py pose_dekr_hrnetw32_coco.pth --flip \\
        --set model.head.rescore=final_rescore_coco_kpt.pth
"""

published = {
    "official": {
        "AP": 68.0,
        "source": "DEKR, README",
        "note": "70.7 at scales 0.5, 1 and 2; weights on the authors' page: pose_coco/pose_dekr_hrnetw32_coco.pth",
    },
    "openmmlab": {
        "AP": 68.6,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/dekr/coco/dekr_hrnet-w32_8xb10-140e_coco-512x512_ac7c17bf-20221228.pth",
    },
}

_base_ = ["../_base_/bottom_up_coco.py", "../_base_/pose_140_epochs.py"]

model = dict(
    backbone=dict(type="HRNet", width=32),
    head=dict(type="DEKRHead", scheme="coco", rescore=True),
)
train_dataloader = dict(batch_size=10)
