"""HRNet-W32 top-down pose on the animals of AP-10K and Animal-Pose: 29 channels, 256x256.

Eyes, nose, root of the tail (Animal-Pose's TailBase) and paws are the same 8 keypoints; the joints of the legs are not:
AP-10K has shoulders, elbows, hips and knees, Animal-Pose elbows and knees of front and hind legs. Scored with annotated
boxes, AP-10K by the mean over its species; `best` has what OpenMMLab's networks of one set reach with the flip test.
Files and terms are those of ../pose/hrnet_w32_ap10k.py and ../pose/hrnet_w32_animalpose.py. Published: no.

    python tools/train.py configs/multitask/hrnet_w32_ap10k_animalpose.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/multitask/hrnet_w32_ap10k_animalpose.py CHECKPOINT --flip
"""

_base_ = "../_base_/mixed_keypoints.py"

_ap10k = dict(type="CocoKeypoints", data_root="data/ap10k", image_dir="data", scheme="ap10k")
_animalpose = dict(type="CocoKeypoints", data_root="data/animalpose", image_dir="", scheme="animalpose")
_augmentation = dict(type="PoseAugmentation", half_body=0.3, scale=0.5, rotation=40.0, flip=0.5)
model = dict(
    branches=dict(
        pose=dict(
            head=dict(scheme=dict(union=["ap10k", "animalpose"])),
            view=dict(input_size=(256, 256)),
        ),
    ),
)
train_dataloader = dict(
    sources=dict(
        ap10k=dict(
            datasets=dict(pose=dict(_ap10k, ann_file="annotations/ap10k-train-split1.json")),
            batch_size=32,
            augmentation=_augmentation,
        ),
        animalpose=dict(
            datasets=dict(pose=dict(_animalpose, ann_file="annotations/animalpose_train.json")),
            batch_size=32,
            augmentation=_augmentation,
        ),
    ),
)
val_dataloader = dict(
    ap10k=dict(
        branch="pose",
        dataset=dict(_ap10k, ann_file="annotations/ap10k-val-split1.json"),
        batch_size=32,
        num_workers=4,
    ),
    animalpose=dict(
        branch="pose",
        dataset=dict(_animalpose, ann_file="annotations/animalpose_val.json"),
        batch_size=32,
        num_workers=4,
    ),
)
val_evaluator = dict(ap10k=dict(type="CocoKeypointMetric"), animalpose=dict(type="CocoKeypointMetric"))
best = dict(ap10k=0.722, animalpose=0.740)
