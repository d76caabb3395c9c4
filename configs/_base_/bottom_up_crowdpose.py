"""CrowdPose, whole images: the official augmentation of bottom-up pose, trained on train and val, scored on test.

`crowdpose_trainval.json` is both files in one, which this makes in data/crowdpose/json:

    python -c "import json; a, b = (json.load(open(f'crowdpose_{part}.json')) for part in ('train', 'val'));
    json.dump({k: v if k == 'categories' else v + b[k] for k, v in a.items()}, open('crowdpose_trainval.json', 'w'))"
"""

_base_ = "bottom_up_coco.py"

train_dataloader = dict(
    dataset=dict(data_root="data/crowdpose", ann_file="json/crowdpose_trainval.json", image_dir="images"),
)
val_dataloader = dict(
    dataset=dict(data_root="data/crowdpose", ann_file="json/crowdpose_test.json", image_dir="images"),
)
val_evaluator = dict(type="CrowdPoseMetric")
