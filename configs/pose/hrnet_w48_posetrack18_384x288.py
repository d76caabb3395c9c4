"""HRNet-W48 top-down pose on PoseTrack18, 384x288.

Scores, boxes and training are those of hrnet_w32_posetrack18.py, which says what the published number is of.

Files are OpenMMLab's posetrack18_train.json and posetrack18_val.json; the latter has 170 videos in version
0.45 of the labels and 74 in 0.2. The data's terms are on its own page, which was away: weights share the doubt.

    python tools/train.py configs/pose/hrnet_w48_posetrack18_384x288.py \\
        --set load_from=pose/hrnet_w48_coco_384x288@openmmlab
    python tools/test.py configs/pose/hrnet_w48_posetrack18_384x288.py openmmlab --flip
    python tools/test.py configs/pose/hrnet_w48_posetrack18_384x288.py openmmlab --flip \\
        --set val_evaluator.1.joint_score=best val_dataloader.dataset.ann_file=annotations/posetrack18_train.json
"""

published = {
    "openmmlab": {
        "AP": 84.6,
        "note": "by annotated boxes; 77.8 with boxes of a detector",
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w48_posetrack18_384x288-5fd6d3ff_20211130.pth",
    },
}

_base_ = "hrnet_w32_posetrack18_384x288.py"

model = dict(backbone=dict(width=48))
