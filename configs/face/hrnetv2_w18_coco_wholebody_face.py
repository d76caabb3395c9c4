"""HRNetV2-W18 face alignment on the faces of COCO-WholeBody, 256x256.

NME in % is divided by the distance of the outer eye corners, with flip test; trained from ImageNet weights, 32 faces on
each of 8 GPUs, Adam 2e-3. Every face of COCO-WholeBody is a sample, in its own box. Files are
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json. The annotations are for research and non-commercial use
only.

    python tools/train.py configs/face/hrnetv2_w18_coco_wholebody_face.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_coco_wholebody_face.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "NME": 5.69,
        "file": "https://download.openmmlab.com/mmpose/face/hrnetv2/hrnetv2_w18_coco_wholebody_face_256x256-c1ca469b_20210909.pth",
    },
}

_base_ = "../_base_/face_60_epochs.py"

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
_dataset = dict(type="CocoFaces", data_root="data/coco", parts=[dict(keypoints="face_kpts", bbox="face_box")])
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear"),
    head=dict(
        type="FaceHead",
        scheme="coco_wholebody_face",
        codec=dict(type="GaussianHeatmap", sigma=2.0),
        bn_momentum=0.1,
    ),
    view=dict(type="TopDown", input_size=(256, 256)),
)
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(**_dataset, ann_file="annotations/coco_wholebody_train_v1.0.json", image_dir="train2017"),
    augmentation=dict(type="FaceAugmentation", scale=0.25, rotation=60.0, flip=0.5),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(**_dataset, ann_file="annotations/coco_wholebody_val_v1.0.json", image_dir="val2017"),
)
val_evaluator = dict(type="NME")
base_batch_size = 256
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[40 / 60, 55 / 60], gamma=0.1),
]
