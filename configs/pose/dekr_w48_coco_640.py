"""DEKR-W48 bottom-up pose on COCO, short side 640 (arXiv:2104.02300).

Scored on all of val2017 with the flip test and the net that rescores people, whose official weights lie in a file of
their own; trained from ImageNet weights, 5 images on each of 8 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/dekr_w48_coco_640.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/dekr_w48_coco_640.py openmmlab --flip
    python tools/test.py configs/pose/dekr_w48_coco_640.py pose_dekr_hrnetw48_coco.pth --flip \\
        --set model.head.rescore=final_rescore_coco_kpt.pth
"""

published = {
    "official": {
        "AP": 71.0,
        "source": "DEKR, README",
        "note": "72.3 at scales 0.5, 1 and 2; weights on the authors' page: pose_coco/pose_dekr_hrnetw48_coco.pth",
    },
    "openmmlab": {
        "AP": 71.4,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/dekr/coco/dekr_hrnet-w48_8xb10-140e_coco-640x640_74796c32-20230124.pth",
    },
}

_base_ = "dekr_w32_coco_512.py"

model = dict(backbone=dict(width=48), head=dict(channels=48), view=dict(size=640))
train_dataloader = dict(batch_size=5)
