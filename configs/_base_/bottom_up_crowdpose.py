"""CrowdPose, whole images: the official augmentation of bottom-up pose, trained on train and val, scored on test.

`crowdpose_trainval.json` is both files in one, which this makes in data/crowdpose/json:

    python -c "import json; a, b = (json.load(open(f'crowdpose_{part}.json')) for part in ('train', 'val'));
    json.dump({k: v if k == 'categories' else v + b[k] for k, v in a.items()}, open('crowdpose_trainval.json', 'w'))"
"""

custom_imports = dict(imports=["hrtoolkit.tasks.pose", "hrtoolkit.tasks.bottom_up"])
model = dict(view=dict(type="ShortSide", size=512))
train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/crowdpose",
        ann_file="json/crowdpose_trainval.json",
        image_dir="images",
        keep_empty=False,
    ),
    augmentation=dict(type="AffineAugmentation"),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        type="CocoKeypoints",
        data_root="data/crowdpose",
        ann_file="json/crowdpose_test.json",
        image_dir="images",
    ),
)
val_evaluator = dict(type="CrowdPoseMetric")
