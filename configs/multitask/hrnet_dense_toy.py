"""One small HRNet that tells parts of people, depth and surface normals in one forward, on the toy world.

Head dims: 240 joined channels for each of the three.

python tools/make_toy_data.py
python tools/train.py configs/multitask/hrnet_dense_toy.py
"""

custom_imports = dict(imports=[f"hrtoolkit.tasks.{name}" for name in ("bottom_up", "segmentation", "dense")])
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
    views=dict(whole=dict(type="ShortSide", size=192)),
    branches=dict(
        parts=dict(head=dict(type="SegmentationHead", scheme=_parts, bn_momentum=0.1), view="whole"),
        depth=dict(head=dict(type="DenseHead", scheme="depth", typical=10.0), view="whole"),
        normals=dict(head=dict(type="DenseHead", scheme="normals"), view="whole"),
    ),
)


def _files(split):
    root = dict(data_root="data/toy", image_dir=split)
    numbers = dict(type="ValuePairs", label_suffix=".png", **root)
    return dict(
        parts=dict(type="SegmentationPairs", label_dir=f"labels/{split}", **root),
        depth=dict(numbers, label_dir=f"depth/{split}", scale=0.001),
        normals=dict(numbers, label_dir=f"normals/{split}", scale=2 / 255, offset=-1.0),
    )


train_dataloader = dict(
    sources=dict(
        scenes=dict(
            datasets=_files("train2017"),
            batch_size=8,
            augmentation=dict(type="AffineAugmentation", scale=(1.0, 1.2), rotation=15.0, shift=0.1),
        ),
    ),
    num_workers=2,
    steps=125,
)
val_dataloader = {name: dict(dataset=data, batch_size=8, num_workers=2) for name, data in _files("val2017").items()}
val_evaluator = dict(
    parts=dict(type="SegmentationMetric"), depth=dict(type="DepthMetric"), normals=dict(type="NormalMetric")
)
best = "depth"
train_cfg = dict(max_epochs=4, val_interval=4)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=4e-3, weight_decay=0.01), clip_grad=dict(max_norm=35.0, norm_type=2)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=40),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=1e-5, convert_to_iter_based=True),
]
seed = 0
