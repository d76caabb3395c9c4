"""HRNet-W48 top-down pose on COCO-WholeBody, 256x192.

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4: AP of all 133 keypoints, and of
body, foot, face and hand, the mean of both. Trained from ImageNet weights, 32 people on each of 8 GPUs, Adam 5e-4.
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json belong to COCO's annotations. The annotations are for
research and non-commercial use only.

    python tools/train.py configs/pose/hrnet_w48_coco_wholebody.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_wholebody.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 57.9,
        "AP_body": 70.1,
        "AP_foot": 67.5,
        "AP_face": 65.6,
        "AP_hand": 53.5,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w48_coco_wholebody_256x192-643e18cb_20200922.pth",
    },
}

_base_ = "hrnet_w32_coco_wholebody.py"

model = dict(backbone=dict(width=48))
train_dataloader = dict(batch_size=32)
base_batch_size = 256
