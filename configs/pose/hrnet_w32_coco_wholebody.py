"""HRNet-W32 top-down pose on COCO-WholeBody, 256x192.

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4: AP of all 133 keypoints, and of
body, foot, face and hand, the mean of both. Trained from ImageNet weights, 64 people on each of 8 GPUs, Adam 5e-4.
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json belong to COCO's annotations. The annotations are for
research and non-commercial use only.

    python tools/train.py configs/pose/hrnet_w32_coco_wholebody.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_wholebody.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 53.6,
        "AP_body": 67.8,
        "AP_foot": 54.3,
        "AP_face": 63.0,
        "AP_hand": 46.7,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_coco_wholebody_256x192-853765cd_20200918.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

_dataset = dict(
    data_root="data/coco",
    parts=[dict(keypoints=["keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts"])],
)
model = dict(head=dict(scheme="coco_wholebody"))
train_dataloader = dict(
    dataset=dict(**_dataset, ann_file="annotations/coco_wholebody_train_v1.0.json", image_dir="train2017"),
)
val_dataloader = dict(
    dataset=dict(**_dataset, ann_file="annotations/coco_wholebody_val_v1.0.json", image_dir="val2017"),
)
val_evaluator = dict(type="WholeBodyMetric")
