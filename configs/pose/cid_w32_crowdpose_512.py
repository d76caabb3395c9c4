"""CID-W32 bottom-up pose on CrowdPose, short side 512 (CVPR 2022, pages 11060-11068).

Scored on the test set at one scale with the flip test; trained on trainval from ImageNet weights, 20 images on each of
2 GPUs, Adam 1e-3. From weights of COCO instead, AP 74.9 is reported (BoIR, README). Files are crowdpose_trainval.json,
which ../_base_/bottom_up_crowdpose.py joins, and crowdpose_test.json. No terms of the annotations are stated: treat
them as research only.

    python tools/train.py configs/pose/cid_w32_crowdpose_512.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/cid_w32_crowdpose_512.py WEIGHTS --flip
"""

published = {
    "official": {
        "AP": 71.2,
        "AP_easy": 77.9,
        "AP_medium": 71.9,
        "AP_hard": 63.8,
        "source": "CID, README",
        "note": "71.3 in the paper; weights on the authors' page: model/crowdpose/checkpoint.pth.tar",
    },
}

_base_ = ["../_base_/bottom_up_crowdpose.py", "../_base_/pose_300_epochs.py"]

model = dict(
    backbone=dict(type="HRNet", width=32),
    head=dict(type="CIDHead", scheme="crowdpose", smallest=0.0),
    finish=dict(type="PoseFinish", score="box", nms_threshold=0.8),
)
train_dataloader = dict(batch_size=20)
base_batch_size = 40
