"""HRNet-W32 top-down pose on COCO, CrowdPose and Halpe-26: body and feet in 26 channels, 256x192.

CrowdPose's head is Halpe's head, the top of it, and both have the neck; hip and feet are Halpe's alone. Scored on
COCO's val2017, on CrowdPose's test with its areas and crowding, and on Halpe's val, all with annotated boxes; weights
are kept by COCO's AP. Halpe's val has the images of COCO's, and its training those of HICO-DET. Files and terms: those
of ../pose/hrnet_w32_coco.py, hrnet_w32_crowdpose.py and hrnet_w32_halpe26.py there. Published: no, not for HRNet.

    python tools/train.py configs/multitask/hrnet_w32_coco_crowdpose_halpe26.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/multitask/hrnet_w32_coco_crowdpose_halpe26.py CHECKPOINT --flip
"""

_base_ = "../_base_/mixed_keypoints.py"

_coco = dict(type="CocoKeypoints", data_root="data/coco", scheme="coco")
_crowdpose = dict(type="CocoKeypoints", data_root="data/crowdpose", image_dir="images", scheme="crowdpose")
_halpe = dict(
    type="CocoKeypoints",
    data_root="data/halpe",
    parts=[dict(keypoints="keypoints", first=26)],
    scheme="halpe26",
)
_augmentation = dict(type="PoseAugmentation", half_body=0.3, scale=0.5, rotation=40.0, flip=0.5)
model = dict(branches=dict(pose=dict(head=dict(scheme=dict(union=["coco", "crowdpose", "halpe26"])))))
train_dataloader = dict(
    sources=dict(
        coco=dict(
            datasets=dict(
                pose=dict(_coco, ann_file="annotations/person_keypoints_train2017.json", image_dir="train2017")
            ),
            batch_size=32,
            augmentation=_augmentation,
        ),
        crowdpose=dict(
            datasets=dict(pose=dict(_crowdpose, ann_file="json/crowdpose_trainval.json")),
            batch_size=16,
            augmentation=_augmentation,
        ),
        halpe=dict(
            datasets=dict(
                pose=dict(
                    _halpe,
                    ann_file="annotations/halpe_train_v1.json",
                    image_dir="hico_20160224_det/images/train2015",
                )
            ),
            batch_size=16,
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
    crowdpose=dict(
        branch="pose",
        dataset=dict(_crowdpose, ann_file="json/crowdpose_test.json"),
        batch_size=32,
        num_workers=4,
    ),
    halpe=dict(
        branch="pose",
        dataset=dict(_halpe, ann_file="annotations/halpe_val_v1.json", image_dir="val2017"),
        batch_size=32,
        num_workers=4,
    ),
)
val_evaluator = dict(
    coco=dict(type="CocoKeypointMetric"),
    crowdpose=dict(type="CrowdPoseMetric"),
    halpe=dict(type="CocoKeypointMetric"),
)
best = "coco"
