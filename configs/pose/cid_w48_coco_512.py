"""CID-W48 bottom-up pose on COCO, short side 512 (CVPR 2022, pages 11060-11068).

Scored on val2017 at one scale with the flip test; mmpose trained its weights from ImageNet's, 20 images on each of 8
GPUs, Adam 1e-3.

    python tools/train.py configs/pose/cid_w48_coco_512.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/cid_w48_coco_512.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 71.5,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/cid/coco/cid_hrnet-w48_8xb20-140e_coco-512x512_a36c3ecf-20230207.pth",
    },
}

_base_ = "cid_w32_coco_512.py"

model = dict(backbone=dict(width=48), head=dict(channels=48))
