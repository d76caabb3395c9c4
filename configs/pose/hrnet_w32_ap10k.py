"""HRNet-W32 top-down pose on the animals of AP-10K, 256x256.

AP is the mean over the species, with annotated boxes and the flip test; trained from ImageNet weights, 64 animals on
each of 8 GPUs, Adam 5e-4. Files are ap10k-train-split1.json and ap10k-val-split1.json; splits 2 and 3 go by --set. CC
BY 4.0, says the data set's page; OpenMMLab's says non-commercial use only.

    python tools/train.py configs/pose/hrnet_w32_ap10k.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_ap10k.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 72.2,
        "AP50": 93.5,
        "AP75": 78.9,
        "AP_M": 55.7,
        "AP_L": 72.9,
        "note": "the authors list AP 73.8 for the same network",
        "file": "https://download.openmmlab.com/mmpose/animal/hrnet/hrnet_w32_ap10k_256x256-18aac840_20211029.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

model = dict(head=dict(scheme="ap10k"), view=dict(input_size=(256, 256)))
train_dataloader = dict(
    dataset=dict(data_root="data/ap10k", ann_file="annotations/ap10k-train-split1.json", image_dir="data"),
)
val_dataloader = dict(
    dataset=dict(data_root="data/ap10k", ann_file="annotations/ap10k-val-split1.json", image_dir="data"),
)
