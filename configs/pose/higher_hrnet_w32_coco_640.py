"""HigherHRNet-W32 bottom-up pose on COCO, short side 640 (arXiv:1908.10357).

Scored on all of val2017 with the flip test; trained from ImageNet weights, 12 images on each of 4 GPUs, Adam 1e-3, in
half precision.

    python tools/train.py configs/pose/higher_hrnet_w32_coco_640.py --amp --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/higher_hrnet_w32_coco_640.py openmmlab --flip
"""

published = {
    "official": {"AP": 68.5, "source": "HigherHRNet-Human-Pose-Estimation, README"},
    "openmmlab": {
        "AP": 68.6,
        "file": "https://download.openmmlab.com/mmpose/bottom_up/higher_hrnet32_coco_640x640-a22fe938_20200712.pth",
    },
}

_base_ = "higher_hrnet_w32_coco_512.py"

model = dict(view=dict(size=640))
