"""HigherHRNet-W32 bottom-up pose on COCO, short side 512 (arXiv:1908.10357).

Scored on all of val2017 with the flip test; trained from ImageNet weights, 12 images on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/higher_hrnet_w32_coco_512.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/higher_hrnet_w32_coco_512.py official --flip
"""

published = {
    "official": {
        "AP": 67.1,
        "source": "HigherHRNet-Human-Pose-Estimation, README",
        "file": "https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/higher-hrnet-w32-human-pose-estimation/ckpt/pose_higher_hrnet_w32_512.pth",
    },
    "openmmlab": {
        "AP": 67.7,
        "file": "https://download.openmmlab.com/mmpose/bottom_up/higher_hrnet32_coco_512x512-8ae85183_20200713.pth",
    },
}

_base_ = ["../_base_/bottom_up_coco.py", "../_base_/pose_300_epochs.py"]

model = dict(
    backbone=dict(type="HRNet", width=32, num_outputs=1),
    neck=dict(type="HighestResolution"),
    head=dict(type="HigherHRNetHead", scheme="coco"),
)
