"""HRNet-W32 top-down pose on COCO-WholeBody, 384x288.

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4: AP of all 133 keypoints, and of
body, foot, face and hand, the mean of both. Trained from ImageNet weights, 64 people on each of 8 GPUs, Adam 5e-4.
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json belong to COCO's annotations. The annotations are for
research and non-commercial use only.

    python tools/train.py configs/pose/hrnet_w32_coco_wholebody_384x288.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_wholebody_384x288.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 58.6,
        "AP_body": 70.0,
        "AP_foot": 58.5,
        "AP_face": 72.6,
        "AP_hand": 51.5,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_coco_wholebody_384x288-78cacac3_20200922.pth",
    },
}

_base_ = "hrnet_w32_coco_wholebody.py"

model = dict(head=dict(codec=dict(sigma=3.0)), view=dict(input_size=(288, 384)))
