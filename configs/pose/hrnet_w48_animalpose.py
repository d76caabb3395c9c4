"""HRNet-W48 top-down pose on the animals of Animal-Pose, 256x256.

Scored on OpenMMLab's animalpose_val.json with annotated boxes and the flip test; trained on animalpose_train.json from
ImageNet weights, 64 animals on each of 8 GPUs, Adam 5e-4. No terms of the annotations are stated: treat them as
research only.

    python tools/train.py configs/pose/hrnet_w48_animalpose.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_animalpose.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 73.8,
        "AP50": 95.8,
        "AP75": 83.1,
        "AR": 77.8,
        "AR50": 96.2,
        "file": "https://download.openmmlab.com/mmpose/animal/hrnet/hrnet_w48_animalpose_256x256-34644726_20210426.pth",
    },
}

_base_ = "hrnet_w32_animalpose.py"

model = dict(backbone=dict(width=48))
