"""HRNetV2-W18 on the hands of COCO-WholeBody with DARK (arXiv:1910.06278), 256x256.

PCK at 0.2 of the box's longer side, AUC up to 30 pixels of the image, and EPE in pixels, with the flip test; trained
from ImageNet weights, 32 hands on each of 8 GPUs, Adam 5e-4. Every hand of COCO-WholeBody is a sample, in its own box;
most are small, which makes AUC and EPE look good. Files are coco_wholebody_train_v1.0.json and
coco_wholebody_val_v1.0.json. The annotations are for research and non-commercial use only.

    python tools/train.py configs/pose/hrnetv2_w18_coco_wholebody_hand_dark.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/pose/hrnetv2_w18_coco_wholebody_hand_dark.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "PCK": 81.4,
        "AUC": 84.0,
        "EPE": 4.37,
        "file": "https://download.openmmlab.com/mmpose/hand/dark/hrnetv2_w18_coco_wholebody_hand_256x256_dark-a9228c9c_20210908.pth",
    },
}

_base_ = "hrnetv2_w18_coco_wholebody_hand.py"

model = dict(head=dict(codec=dict(type="DarkHeatmap")))
