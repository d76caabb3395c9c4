"""HRNet-W32 top-down pose on AI Challenger, 256x192.

Scored on validation with annotated boxes and the flip test, by areas of 0.53 of the box as CrowdPose's; AP is low
because the fall-offs are 2 to 6 times tighter than COCO's. mAP is that of the official code, which has no scores and
compares the points that are seen; nothing is published of it. Trained from ImageNet weights, 64 people on each of 8
GPUs, Adam 5e-4. Files are OpenMMLab's aic_train.json and aic_val.json. No terms of the annotations are stated: treat
them as research only.

    python tools/train.py configs/pose/hrnet_w32_aic.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_aic.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 32.3,
        "AP50": 76.1,
        "AP75": 21.8,
        "AR": 36.6,
        "AR50": 78.9,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_aic_256x192-30a4e465_20200826.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

model = dict(head=dict(scheme="aic"))
train_dataloader = dict(
    dataset=dict(
        data_root="data/aic",
        ann_file="annotations/aic_train.json",
        image_dir="ai_challenger_keypoint_train_20170902/keypoint_train_images_20170902",
    ),
)
val_dataloader = dict(
    dataset=dict(
        data_root="data/aic",
        ann_file="annotations/aic_val.json",
        image_dir="ai_challenger_keypoint_validation_20170911/keypoint_validation_images_20170911",
    ),
)
val_evaluator = [dict(type="CrowdPoseMetric"), dict(type="AiChallengerMetric")]
