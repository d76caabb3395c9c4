"""CID-W32 bottom-up pose on COCO, short side 512 (CVPR 2022, pages 11060-11068).

Scored on val2017 at one scale with the flip test; trained from ImageNet weights, 20 images on each of 2 GPUs (of 8 in
mmpose), Adam 1e-3.

    python tools/train.py configs/pose/cid_w32_coco_512.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/cid_w32_coco_512.py openmmlab --flip
"""

published = {
    "official": {
        "AP": 69.8,
        "source": "CID, README",
        "note": "weights on the authors' page: model/coco/checkpoint.pth.tar",
    },
    "openmmlab": {
        "AP": 70.4,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/cid/coco/cid_hrnet-w32_8xb20-140e_coco-512x512_42b7e6e6-20230207.pth",
    },
}

_base_ = ["../_base_/bottom_up_coco.py", "../_base_/pose_140_epochs.py"]

model = dict(
    backbone=dict(type="HRNet", width=32),
    head=dict(type="CIDHead", scheme="coco"),
    finish=dict(type="PoseFinish", score="box", nms_threshold=0.8),
)
train_dataloader = dict(batch_size=20, dataset=dict(keep_empty=False))
