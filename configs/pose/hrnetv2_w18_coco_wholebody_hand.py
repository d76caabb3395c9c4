"""HRNetV2-W18 on the hands of COCO-WholeBody, 256x256.

PCK at 0.2 of the box's longer side, AUC up to 30 pixels of the image, and EPE in pixels, with the flip test; trained
from ImageNet weights, 32 hands on each of 8 GPUs, Adam 5e-4. Every hand of COCO-WholeBody is a sample, in its own box;
most are small, which makes AUC and EPE look good. Files are coco_wholebody_train_v1.0.json and
coco_wholebody_val_v1.0.json. The annotations are for research and non-commercial use only.

    python tools/train.py configs/pose/hrnetv2_w18_coco_wholebody_hand.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/pose/hrnetv2_w18_coco_wholebody_hand.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "PCK": 81.3,
        "AUC": 84.0,
        "EPE": 4.39,
        "file": "https://download.openmmlab.com/mmpose/hand/hrnetv2/hrnetv2_w18_coco_wholebody_hand_256x256-1c028db7_20210908.pth",
    },
}

_base_ = "../_base_/hand_sets.py"

_dataset = dict(
    data_root="data/coco",
    parts=[
        dict(keypoints="lefthand_kpts", bbox="lefthand_box"),
        dict(keypoints="righthand_kpts", bbox="righthand_box"),
    ],
)
model = dict(head=dict(scheme="coco_wholebody_hand"))
train_dataloader = dict(
    batch_size=32,
    dataset=dict(**_dataset, ann_file="annotations/coco_wholebody_train_v1.0.json", image_dir="train2017"),
)
val_dataloader = dict(
    dataset=dict(**_dataset, ann_file="annotations/coco_wholebody_val_v1.0.json", image_dir="val2017"),
)
base_batch_size = 256
