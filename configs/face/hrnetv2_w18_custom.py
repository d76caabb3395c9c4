"""HRNetV2-W18 on landmarks of your own, as many as there are; 256x256.

The data is an export of a labelling tool, or a file in COCO's keypoint format; names and mirror partners come from it,
and the recipe from how much there is. Errors are divided by the side of the box around the landmarks; `nme_reference`
may name two landmarks instead. Published: none, it depends on the images; the codec is that of the DARK configs.

    hrtoolkit train face/hrnetv2_w18_custom --data EXPORT
    hrtoolkit predict work_dirs/face/hrnetv2_w18_custom/best.pth PICTURES --boxes whole --out found
"""

_base_ = "hrnetv2_w18_300w_dark.py"

_dataset = dict(_delete_=True, type="CocoFaces", data_root="data/own", image_dir="", scheme=dict(nme_reference="box"))
model = dict(head=dict(scheme=None))  # the training data has it
train_dataloader = dict(batch_size=16, num_workers=2, dataset=dict(**_dataset, ann_file="train.json"))
val_dataloader = dict(batch_size=16, num_workers=2, dataset=dict(**_dataset, ann_file="val.json"))
base_batch_size = None
train_cfg = dict(max_epochs=60, val_interval=2, patience=10)
optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=True, end=0.05, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0.05, eta_min_ratio=0.01, convert_to_iter_based=True),
]
recipes = [
    dict(
        up_to=100,
        train_dataloader=dict(batch_size=8),
        # A handful to validate on says little: the best of a few epochs, and no early end.
        train_cfg=dict(max_epochs=200, val_interval=50, patience=None),
    ),
    dict(up_to=1000, train_cfg=dict(max_epochs=100, val_interval=10, patience=4)),
]
load_from = "timm/hrnet_w18.ms_in1k"  # downloaded by timm; or a file, such as a model of faces
