"""One small HRNet that finds people, their masks, their keypoints and their parts in one forward, on the toy world.

A fifth branch looks at crops of single people, so that two views share the weights. Head dims: a pyramid of 32 channels
for boxes and masks, 32 channels of tags and heatmaps, 240 joined ones for parts.

python tools/make_toy_data.py
python tools/train.py configs/multitask/hrnet_toy.py
"""

custom_imports = dict(
    imports=[f"hrtoolkit.tasks.{name}" for name in ("detection", "pose", "bottom_up", "segmentation")]
)
_parts = dict(
    names=["background", "head", "torso", "left_arm", "right_arm", "left_leg", "right_leg"],
    mirrored=[["left_arm", "right_arm"], ["left_leg", "right_leg"]],
    palette=[[0, 0, 0], [240, 200, 60], [200, 60, 60], [60, 160, 240], [60, 90, 200], [90, 220, 90], [30, 140, 60]],
)
model = dict(
    backbone=dict(
        type="HRNet",
        width=16,
        modules=(1, 1, 1),
        blocks=1,
        layer1_blocks=1,
        layer1_planes=16,
        stem_width=32,
        fuse_upsample="bilinear",
        init="kaiming",
    ),
    views=dict(whole=dict(type="ShortSide", size=128)),
    branches=dict(
        boxes=dict(
            neck=dict(type="Pyramid", channels=32),
            head=dict(type="FasterRCNNHead", scheme=["person"], masks=True, roi_samples=32, mask_channels=32),
            view="whole",
        ),
        people=dict(
            neck=dict(type="HighestResolution"),
            head=dict(type="HigherHRNetHead", scheme="coco", levels=1),
            view="whole",
        ),
        parts=dict(head=dict(type="SegmentationHead", scheme=_parts, bn_momentum=0.1), view="whole"),
        pose=dict(
            neck=dict(type="HighestResolution"),
            head=dict(type="HeatmapHead", scheme="coco", codec=dict(type="UDPHeatmap", sigma=1.5, blur_kernel=7)),
            view=dict(type="TopDown", input_size=(72, 96)),
        ),
    ),
    balance=dict(type="RelativeLosses", weights=dict(pose=4.0)),
)


def _files(split):
    root = dict(data_root="data/toy")
    people = dict(ann_file=f"annotations/person_keypoints_{split}.json", image_dir=split, **root)
    return dict(
        boxes=dict(type="CocoDetection", **people),
        people=dict(type="CocoKeypoints", **people),
        parts=dict(type="SegmentationPairs", image_dir=split, label_dir=f"labels/{split}", **root),
        pose=dict(type="CocoKeypoints", **people),
    )


_train, _val = _files("train2017"), _files("val2017")
train_dataloader = dict(
    sources=dict(
        scenes=dict(
            datasets=dict(
                boxes=dict(_train["boxes"], keep_empty=True),
                people=dict(_train["people"], keep_empty=True),
                parts=_train["parts"],
            ),
            batch_size=8,
            augmentation=dict(type="AffineAugmentation", scale=(1.0, 1.2), rotation=0.0, shift=0.1),
        ),
        crops=dict(
            datasets=dict(pose=_train["pose"]),
            batch_size=16,
            augmentation=dict(type="PoseAugmentation", half_body=0.0, scale=0.15, rotation=10.0),
        ),
    ),
    num_workers=2,
    steps=125,
)
val_dataloader = dict(
    boxes=dict(dataset=_val["boxes"], batch_size=8, num_workers=2),
    people=dict(dataset=_val["people"], batch_size=8, num_workers=2),
    parts=dict(dataset=_val["parts"], batch_size=8, num_workers=2),
    pose=dict(dataset=_val["pose"], batch_size=32, num_workers=2),
)
val_evaluator = dict(
    boxes=dict(type="CocoDetectionMetric"),
    people=dict(type="CocoKeypointMetric"),
    parts=dict(type="SegmentationMetric"),
    pose=dict(type="CocoKeypointMetric"),
)
best = dict(boxes=0.467, people=0.067, parts=0.509, pose=0.502)  # of each alone, by the same steps and rates
train_cfg = dict(max_epochs=4, val_interval=4)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=4e-3, weight_decay=0.01), clip_grad=dict(max_norm=35.0, norm_type=2)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=40),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=1e-5, convert_to_iter_based=True),
]
seed = 0
