"""HRNet-W32 that finds objects, their masks, people's keypoints and what every pixel shows, in one forward, on COCO.

Boxes, masks and keypoints are of COCO 2017, label maps of COCO-Stuff 10k, whose images have nothing else here. Head
dims: a pyramid of 256 channels for boxes and masks, heatmaps and tags of 34 channels, 480 joined ones for label maps;
all branches weigh alike. AdamW at twice the rate that branches have alone, as in hrnet_toy. Published: no, nobody has
trained it yet; `best` follows the boxes until numbers of single networks by the same schedule are written there.

    python tools/train.py configs/multitask/hrnet_w32_coco.py --set load_from=timm/hrnet_w32.ms_in1k
"""

custom_imports = dict(
    imports=[f"hrtoolkit.tasks.{name}" for name in ("detection", "pose", "bottom_up", "segmentation")]
)
model = dict(
    backbone=dict(type="HRNet", width=32),
    views=dict(whole=dict(type="ShortSide", size=512)),
    branches=dict(
        boxes=dict(
            neck=dict(type="Pyramid"), head=dict(type="FasterRCNNHead", scheme="coco", masks=True), view="whole"
        ),
        people=dict(
            neck=dict(type="HighestResolution"), head=dict(type="HigherHRNetHead", scheme="coco"), view="whole"
        ),
        stuff=dict(
            head=dict(type="SegmentationHead", scheme="coco_stuff", loss=dict(type="OhemCrossEntropy")), view="whole"
        ),
    ),
)


def _coco(kind, split, **options):
    name = dict(CocoDetection="instances", CocoKeypoints="person_keypoints")[kind]
    files = dict(data_root="data/coco", ann_file=f"annotations/{name}_{split}2017.json", image_dir=f"{split}2017")
    return dict(type=kind, **files, **options)


def _stuff(split):
    folders = dict(image_dir=f"{split}/image", label_dir=f"{split}/label")
    return dict(type="SegmentationPairs", data_root="data/coco_stuff", **folders)


_augmentation = dict(type="AffineAugmentation", scale=(0.75, 1.5), rotation=0.0, shift=0.2)
train_dataloader = dict(
    sources=dict(
        coco=dict(
            datasets=dict(
                boxes=_coco("CocoDetection", "train", keep_empty=True),
                people=_coco("CocoKeypoints", "train", keep_empty=True),
            ),
            batch_size=8,
            augmentation=_augmentation,
        ),
        stuff=dict(datasets=dict(stuff=_stuff("train")), batch_size=4, augmentation=_augmentation),
    ),
    num_workers=8,
)
val_dataloader = dict(
    boxes=dict(dataset=_coco("CocoDetection", "val"), batch_size=1, num_workers=4),
    people=dict(dataset=_coco("CocoKeypoints", "val"), batch_size=1, num_workers=4),
    stuff=dict(dataset=_stuff("test"), batch_size=1, num_workers=4),
)
val_evaluator = dict(
    boxes=dict(type="CocoDetectionMetric"),
    people=dict(type="CocoKeypointMetric"),
    stuff=dict(type="SegmentationMetric"),
)
best = "boxes"
train_cfg = dict(max_epochs=36, val_interval=3)
base_batch_size = 48  # 12 images on each of 4 GPUs; other batches scale the learning rate
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=4e-4, weight_decay=0.05), clip_grad=dict(max_norm=35.0, norm_type=2)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="CosineAnnealingLR", by_epoch=True, eta_min=1e-6, convert_to_iter_based=True),
]
load_from = None
seed = 0
