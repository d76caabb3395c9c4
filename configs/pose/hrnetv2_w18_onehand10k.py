"""HRNetV2-W18 on the hands of OneHand10K, 256x256.

PCK at 0.2 of the box's longer side, AUC up to 30 pixels of the image, and EPE in pixels, with the flip test; trained
from ImageNet weights, 64 hands on each of 8 GPUs, Adam 5e-4. Images are large, hence 24 pixels and an AUC of 57. Files
are OpenMMLab's onehand10k_train.json and onehand10k_test.json. No terms of the annotations are stated: treat them as
research only.

    python tools/train.py configs/pose/hrnetv2_w18_onehand10k.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/pose/hrnetv2_w18_onehand10k.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "PCK": 99.0,
        "AUC": 56.7,
        "EPE": 24.26,
        "file": "https://download.openmmlab.com/mmpose/hand/hrnetv2/hrnetv2_w18_onehand10k_256x256-30bc9c6b_20210330.pth",
    },
}

_base_ = "../_base_/hand_sets.py"

model = dict(head=dict(scheme="onehand10k"))
train_dataloader = dict(dataset=dict(data_root="data/onehand10k", ann_file="annotations/onehand10k_train.json"))
val_dataloader = dict(dataset=dict(data_root="data/onehand10k", ann_file="annotations/onehand10k_test.json"))
