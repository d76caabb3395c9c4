"""HRNet-W18 for three kinds of crops: people's keypoints (COCO), landmarks of faces (WFLW), classes (ImageNet).

Three views, so that BatchNorm has statistics of its own for each. Head dims: heatmaps of 17 channels on the finest map,
of 98 on 270 joined ones, and a classifier of 2048 channels; heatmaps of crops weigh 4 times as much as the classes.
AdamW at twice the rate that the branches have alone, as in hrnet_toy. Published: no, nobody has trained it yet; `best`
follows the pose until numbers of single networks by the same schedule are written there.

    python tools/train.py configs/multitask/hrnet_w18_crops.py --set load_from=timm/hrnet_w18.ms_in1k
"""

custom_imports = dict(imports=[f"hrtoolkit.tasks.{name}" for name in ("pose", "face", "classification")])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear"),
    branches=dict(
        pose=dict(
            neck=dict(type="HighestResolution"),
            head=dict(type="HeatmapHead", scheme="coco", codec=dict(type="UDPHeatmap")),
            view=dict(type="TopDown", input_size=(192, 256)),
            finish=dict(type="PoseFinish"),
        ),
        face=dict(
            head=dict(type="FaceHead", scheme="wflw", codec=dict(type="DarkHeatmap", sigma=1.5)),
            view=dict(type="TopDown", input_size=(256, 256)),
        ),
        kind=dict(
            head=dict(type="ClassificationHead", scheme=1000),
            view=dict(type="ResizeCenterCrop", input_size=(224, 224)),
        ),
    ),
    balance=dict(type="RelativeLosses", weights=dict(pose=4.0, face=4.0)),
)


def _pose(split):
    files = dict(ann_file=f"annotations/person_keypoints_{split}2017.json", image_dir=f"{split}2017")
    return dict(type="CocoKeypoints", data_root="data/coco", **files)


def _face(split):
    lists = "WFLW_annotations/list_98pt_rect_attr_train_test"
    ann_file = f"{lists}/list_98pt_rect_attr_{split}.txt"
    return dict(type="WFLW", data_root="data/wflw", ann_file=ann_file, image_dir="WFLW_images")


def _kind(split):
    return dict(type="ImageFolder", data_root="data/imagenet", image_dir=split)


train_dataloader = dict(
    sources=dict(
        people=dict(
            datasets=dict(pose=_pose("train")),
            batch_size=16,
            augmentation=dict(type="PoseAugmentation", half_body=0.3, scale=0.35, rotation=45.0, flip=0.5),
        ),
        faces=dict(
            datasets=dict(face=_face("train")),
            batch_size=8,
            augmentation=dict(type="FaceAugmentation", scale=0.25, rotation=30.0, flip=0.5),
        ),
        pictures=dict(datasets=dict(kind=_kind("train")), batch_size=32, augmentation=dict(type="RandomResizedCrop")),
    ),
    num_workers=8,
)
val_dataloader = dict(
    pose=dict(dataset=_pose("val"), batch_size=32, num_workers=4),
    face=dict(dataset=_face("test"), batch_size=16, num_workers=4),
    kind=dict(dataset=_kind("val"), batch_size=32, num_workers=4),
)
val_evaluator = dict(
    pose=dict(type="CocoKeypointMetric"), face=dict(type="NME"), kind=dict(type="ClassificationMetric")
)
best = "pose"
train_cfg = dict(max_epochs=30, val_interval=1)
base_batch_size = 224  # 56 inputs on each of 4 GPUs; other batches scale the learning rate
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05), clip_grad=dict(max_norm=35.0, norm_type=2)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=1e-6, convert_to_iter_based=True),
]
load_from = None
seed = 0
