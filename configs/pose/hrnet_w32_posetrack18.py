"""HRNet-W32 top-down pose on PoseTrack18, 256x192.

Scored on val as PoseTrack's codes do: AP and MOTA of keypoints (poseval), HOTA of keypoints (PoseTrack21), and HOTA of
people by OKS; `Tracker` gives the ids. Published is AP by annotated boxes; of a detector's, by --boxes, those above
0.4 count. No MOTA was published for these weights; HRNet-W48 led PoseTrack17's test set with 74.9 AP and 57.9 MOTA
(arXiv:1902.09212), its boxes moved on by optical flow. Keypoints of low score raise AP and cost MOTA: the last line
finds the least score, on train, to be set as val_evaluator.1.joint_score.

Trained from COCO's weights, 64 people on each of 8 GPUs, Adam 5e-4, 20 epochs; ears have channels and no labels, and
so no loss. Files are OpenMMLab's posetrack18_train.json and posetrack18_val.json; the latter has 170 videos in version
0.45 of the labels and 74 in 0.2. The data's terms are on its own page, which was away: weights share the doubt.

    python tools/train.py configs/pose/hrnet_w32_posetrack18.py --set load_from=pose/hrnet_w32_coco@openmmlab
    python tools/test.py configs/pose/hrnet_w32_posetrack18.py openmmlab --flip
    python tools/test.py configs/pose/hrnet_w32_posetrack18.py openmmlab --flip \\
        --set val_evaluator.1.joint_score=best val_dataloader.dataset.ann_file=annotations/posetrack18_train.json
"""

published = {
    "openmmlab": {
        "AP": 83.4,
        "note": "by annotated boxes; 76.9 with boxes of a detector",
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_posetrack18_256x192-1ee951c4_20201028.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

model = dict(head=dict(scheme="posetrack18"))
_dataset = dict(type="PoseTrack18", data_root="data/posetrack18")
train_dataloader = dict(dataset=dict(**_dataset, ann_file="annotations/posetrack18_train.json"))
val_dataloader = dict(dataset=dict(**_dataset, ann_file="annotations/posetrack18_val.json"))
_tracker = dict(type="Tracker", method="oks", keep=1.0)
val_evaluator = [
    dict(type="PoseTrackAP"),
    dict(type="PoseTrackMOTA", tracker=_tracker, joint_score=0.0),
    dict(type="PoseTrackHOTA", tracker=_tracker, joint_score=0.0),
    dict(type="PeopleTrackingMetric", similarity="oks", tracker=_tracker),
]
train_cfg = dict(max_epochs=20, val_interval=1)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[10 / 20, 15 / 20], gamma=0.1),
]
