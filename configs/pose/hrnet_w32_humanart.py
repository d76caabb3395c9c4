"""HRNet-W32 top-down pose on the people of Human-Art, 256x192.

Scored on validation_humanart.json with annotated boxes and the flip test; trained on Human-Art and COCO together
(training_humanart_coco.json, images below data/HumanArt and data/coco) from ImageNet weights, 64 people on each of 8
GPUs, Adam 5e-4. Known files of detections hold corners for sizes, and are refused. Data on request, non-commercial, not
to be passed on.

    python tools/train.py configs/pose/hrnet_w32_humanart.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_humanart.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 75.4,
        "note": "39.9 with boxes of a detector; 74.1 on COCO's val2017",
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/human_art/td-hm_hrnet-w32_8xb64-210e_humanart-256x192-0773ef0b_20230614.pth",
    },
}

_base_ = "../_base_/keypoint_sets.py"

model = dict(head=dict(scheme="humanart"))
train_dataloader = dict(
    dataset=dict(data_root="data", ann_file="HumanArt/annotations/training_humanart_coco.json"),
)
val_dataloader = dict(dataset=dict(data_root="data", ann_file="HumanArt/annotations/validation_humanart.json"))
