"""HRNet-W32 top-down pose on COCO and AI Challenger, with the keypoints of both: 19 channels, 256x192.

COCO's 17, and the head_top and neck of AI Challenger, whose other 12 are COCO's too. Scored on COCO's val2017 and on
AI Challenger's validation, both with annotated boxes; weights are kept by COCO's AP. Published: no, not for this
schedule; OpenMMLab's network of the same 19 channels, trained on both sets in one list, has AP 75.5 on COCO with the
flip test and boxes of a detector (74.9 on COCO alone), and one of COCO's 17 channels, which
`--set model.branches.pose.head.scheme=coco` trains, 75.6. Files and terms: those of ../pose/hrnet_w32_coco.py and
../pose/hrnet_w32_aic.py.

    python tools/train.py configs/multitask/hrnet_w32_coco_aic.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/multitask/hrnet_w32_coco_aic.py CHECKPOINT --flip
"""

_base_ = "../_base_/mixed_keypoints.py"

_coco = dict(type="CocoKeypoints", data_root="data/coco", scheme="coco")
_aic = dict(type="CocoKeypoints", data_root="data/aic", scheme="aic")
_augmentation = dict(type="PoseAugmentation", half_body=0.3, scale=0.5, rotation=40.0, flip=0.5)
model = dict(branches=dict(pose=dict(head=dict(scheme=dict(union=["coco", "aic"])))))
train_dataloader = dict(
    sources=dict(
        coco=dict(
            datasets=dict(
                pose=dict(_coco, ann_file="annotations/person_keypoints_train2017.json", image_dir="train2017")
            ),
            batch_size=32,
            augmentation=_augmentation,
        ),
        aic=dict(
            datasets=dict(
                pose=dict(
                    _aic,
                    ann_file="annotations/aic_train.json",
                    image_dir="ai_challenger_keypoint_train_20170902/keypoint_train_images_20170902",
                )
            ),
            batch_size=32,
            augmentation=_augmentation,
        ),
    ),
)
val_dataloader = dict(
    coco=dict(
        branch="pose",
        dataset=dict(_coco, ann_file="annotations/person_keypoints_val2017.json", image_dir="val2017"),
        batch_size=32,
        num_workers=4,
    ),
    aic=dict(
        branch="pose",
        dataset=dict(
            _aic,
            ann_file="annotations/aic_val.json",
            image_dir="ai_challenger_keypoint_validation_20170911/keypoint_validation_images_20170911",
        ),
        batch_size=32,
        num_workers=4,
    ),
)
val_evaluator = dict(coco=dict(type="CocoKeypointMetric"), aic=dict(type="CrowdPoseMetric"))
best = "coco"
