"""HRNet-W32 top-down pose on PoseTrack18, 256x192.

Frames by themselves, without tracks, scored on val by OKS with areas of the boxes. Published is Total AP of PoseTrack's
own code, poseval, which is another number, by annotated boxes. Trained from COCO's weights, 64 people on each of 8
GPUs, Adam 5e-4, 20 epochs; boxes of a detector count from 0.4. Files are OpenMMLab's posetrack18_train.json and
posetrack18_val.json. The data set's terms are on its own page.

    python tools/train.py configs/pose/hrnet_w32_posetrack18.py --set load_from=pose/hrnet_w32_coco@openmmlab
    python tools/test.py configs/pose/hrnet_w32_posetrack18.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "poseval_AP": 83.4,
        "note": "by poseval; 76.9 with boxes of a detector",
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_posetrack18_256x192-1ee951c4_20201028.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

model = dict(head=dict(scheme="posetrack18"))
train_dataloader = dict(dataset=dict(data_root="data/posetrack18", ann_file="annotations/posetrack18_train.json"))
val_dataloader = dict(dataset=dict(data_root="data/posetrack18", ann_file="annotations/posetrack18_val.json"))
train_cfg = dict(max_epochs=20, val_interval=1)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[10 / 20, 15 / 20], gamma=0.1),
]
