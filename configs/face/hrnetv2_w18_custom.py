"""HRNetV2-W18 on landmarks of your own, as many as there are, in COCO's keypoint format; 256x256.

A folder with images/, train.json and val.json: `categories` list the landmarks' names (partners in mirroring differ in
left and right alone), `annotations` hold x, y and visibility of each. Errors are divided by the side of the box around
the landmarks; `nme_reference` may name two landmarks instead.
Published: nothing; the recipe is that of the DARK configs, for one GPU.

    python tools/train.py configs/face/hrnetv2_w18_custom.py --data-root DIR --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_custom.py CHECKPOINT --data-root DIR
"""

_base_ = "hrnetv2_w18_300w_dark.py"

model = dict(head=dict(scheme=None))  # the training data has it
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type="CocoFaces",
        data_root="data/my_faces",
        ann_file="train.json",
        image_dir="images",
        scheme=dict(nme_reference="box"),
    ),
)
val_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type="CocoFaces",
        data_root="data/my_faces",
        ann_file="val.json",
        image_dir="images",
        scheme=dict(nme_reference="box"),
    ),
)
