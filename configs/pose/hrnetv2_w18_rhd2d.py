"""HRNetV2-W18 on the hands of RHD, 256x256.

PCK at 0.2 of the box's longer side, AUC up to 30 pixels of the image, and EPE in pixels, with the flip test; trained
from ImageNet weights, 64 hands on each of 8 GPUs, Adam 5e-4. Rendered hands; files are OpenMMLab's rhd_train.json and
rhd_test.json, whose fingers run from tip to base, though their category names them the other way. No terms of the
annotations are stated: treat them as research only.

    python tools/train.py configs/pose/hrnetv2_w18_rhd2d.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/pose/hrnetv2_w18_rhd2d.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "PCK": 99.2,
        "AUC": 90.2,
        "EPE": 2.21,
        "file": "https://download.openmmlab.com/mmpose/hand/hrnetv2/hrnetv2_w18_rhd2d_256x256-95b20dd8_20210330.pth",
    },
}

_base_ = "../_base_/hand_sets.py"

model = dict(head=dict(scheme="rhd2d"))
train_dataloader = dict(dataset=dict(data_root="data/rhd", ann_file="annotations/rhd_train.json"))
val_dataloader = dict(dataset=dict(data_root="data/rhd", ann_file="annotations/rhd_test.json"))
