"""HRNet-W48 top-down pose on the animals of AP-10K, 256x256.

AP is the mean over the species, with annotated boxes and the flip test; trained from ImageNet weights, 64 animals on
each of 8 GPUs, Adam 5e-4. Files are ap10k-train-split1.json and ap10k-val-split1.json; splits 2 and 3 go by --set. CC
BY 4.0, says the data set's page; OpenMMLab's says non-commercial use only.

    python tools/train.py configs/pose/hrnet_w48_ap10k.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_ap10k.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 72.8,
        "AP50": 93.6,
        "AP75": 80.2,
        "AP_M": 57.7,
        "AP_L": 73.5,
        "note": "the authors list AP 74.4 for the same network",
        "file": "https://download.openmmlab.com/mmpose/animal/hrnet/hrnet_w48_ap10k_256x256-d95ab412_20211029.pth",
    },
}

_base_ = "hrnet_w32_ap10k.py"

model = dict(backbone=dict(width=48))
