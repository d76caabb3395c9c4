"""HRNet-W32 top-down pose on CrowdPose, 256x192.

Scored on test with the flip test and boxes of YOLOv3 (det_for_crowd_test_0.1_0.5.json); trained on train and val from
ImageNet weights, 64 people on each of 8 GPUs, Adam 5e-4. Files are crowdpose_trainval.json, which
../_base_/bottom_up_crowdpose.py joins, and crowdpose_test.json. No terms of the annotations are stated: treat them as
research only.

    python tools/train.py configs/pose/hrnet_w32_crowdpose.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_crowdpose.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 67.5,
        "AP50": 82.5,
        "AP75": 72.9,
        "AP_easy": 77.0,
        "AP_medium": 68.7,
        "AP_hard": 55.3,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_crowdpose_256x192-960be101_20201227.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

model = dict(head=dict(scheme="crowdpose"))
train_dataloader = dict(
    dataset=dict(data_root="data/crowdpose", ann_file="json/crowdpose_trainval.json", image_dir="images"),
)
val_dataloader = dict(
    dataset=dict(data_root="data/crowdpose", ann_file="json/crowdpose_test.json", image_dir="images"),
)
val_evaluator = dict(type="CrowdPoseMetric")
