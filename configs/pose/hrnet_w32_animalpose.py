"""HRNet-W32 top-down pose on the animals of Animal-Pose, 256x256.

Scored on OpenMMLab's animalpose_val.json with annotated boxes and the flip test; trained on animalpose_train.json from
ImageNet weights, 64 animals on each of 8 GPUs, Adam 5e-4. No terms of the annotations are stated: treat them as
research only.

    python tools/train.py configs/pose/hrnet_w32_animalpose.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_animalpose.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 74.0,
        "AP50": 95.9,
        "AP75": 83.3,
        "AR": 78.0,
        "AR50": 96.5,
        "file": "https://download.openmmlab.com/mmpose/animal/hrnet/hrnet_w32_animalpose_256x256-1aa7f075_20210426.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

model = dict(head=dict(scheme="animalpose"), view=dict(input_size=(256, 256)))
train_dataloader = dict(dataset=dict(data_root="data/animalpose", ann_file="annotations/animalpose_train.json"))
val_dataloader = dict(dataset=dict(data_root="data/animalpose", ann_file="annotations/animalpose_val.json"))
