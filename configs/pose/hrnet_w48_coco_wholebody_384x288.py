"""HRNet-W48 top-down pose on COCO-WholeBody, 384x288.

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4: AP of all 133 keypoints, and of
body, foot, face and hand, the mean of both. Trained from ImageNet weights, 32 people on each of 8 GPUs, Adam 5e-4.
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json belong to COCO's annotations. The annotations are for
research and non-commercial use only.

    python tools/train.py configs/pose/hrnet_w48_coco_wholebody_384x288.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_wholebody_384x288.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 63.2,
        "AP_body": 72.2,
        "AP_foot": 69.6,
        "AP_face": 77.6,
        "AP_hand": 58.7,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w48_coco_wholebody_384x288-6e061c6a_20200922.pth",
    },
}

_base_ = "hrnet_w48_coco_wholebody.py"

model = dict(head=dict(codec=dict(sigma=3.0)), view=dict(input_size=(288, 384)))
