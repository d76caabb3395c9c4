"""HRNet-W48 top-down pose on the people of Human-Art, 256x192.

Scored on validation_humanart.json with annotated boxes and the flip test; trained on Human-Art and COCO together
(training_humanart_coco.json, images below data/HumanArt and data/coco) from ImageNet weights, 32 people on each of 8
GPUs, Adam 5e-4. Known files of detections hold corners for sizes, and are refused. Data on request, non-commercial, not
to be passed on.

    python tools/train.py configs/pose/hrnet_w48_humanart.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_humanart.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "AP": 76.9,
        "note": "41.7 with boxes of a detector; 75.1 on COCO's val2017",
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/human_art/td-hm_hrnet-w48_8xb32-210e_humanart-256x192-05178983_20230614.pth",
    },
}

_base_ = "hrnet_w32_humanart.py"

model = dict(backbone=dict(width=48))
train_dataloader = dict(batch_size=32)
base_batch_size = 256
