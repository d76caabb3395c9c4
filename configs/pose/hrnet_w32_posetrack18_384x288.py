"""HRNet-W32 top-down pose on PoseTrack18, 384x288.

Scored on val as PoseTrack's codes do: AP and MOTA of keypoints (poseval), HOTA of keypoints (PoseTrack21), and HOTA of
people by OKS; `Tracker` gives the ids. Published is AP by annotated boxes; of a detector's, by --boxes, those above
0.4 count. No MOTA was published for these weights; HRNet-W48 led PoseTrack17's test set with 74.9 AP and 57.9 MOTA
(arXiv:1902.09212), its boxes moved on by optical flow. Keypoints of low score raise AP and cost MOTA: the last line
finds the least score, on train, to be set as val_evaluator.1.joint_score.

Trained from COCO's weights, 64 people on each of 8 GPUs, Adam 5e-4, 20 epochs; ears have channels and no labels, and
so no loss. Files are OpenMMLab's posetrack18_train.json and posetrack18_val.json; the latter has 170 videos in version
0.45 of the labels and 74 in 0.2. The data's terms are on its own page, which was away: weights share the doubt.

    python tools/train.py configs/pose/hrnet_w32_posetrack18_384x288.py \\
        --set load_from=pose/hrnet_w32_coco_384x288@openmmlab
    python tools/test.py configs/pose/hrnet_w32_posetrack18_384x288.py openmmlab --flip
    python tools/test.py configs/pose/hrnet_w32_posetrack18_384x288.py openmmlab --flip \\
        --set val_evaluator.1.joint_score=best val_dataloader.dataset.ann_file=annotations/posetrack18_train.json
"""

published = {
    "openmmlab": {
        "AP": 83.7,
        "note": "by annotated boxes; 77.3 with boxes of a detector",
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_posetrack18_384x288-806f00a3_20211130.pth",
    },
}

_base_ = "hrnet_w32_posetrack18.py"

model = dict(head=dict(codec=dict(sigma=3.0)), view=dict(input_size=(288, 384)))
