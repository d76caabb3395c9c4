"""HRNet-W48 top-down pose on COCO-WholeBody, 384x288 with DARK (arXiv:1910.06278).

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4: AP of all 133 keypoints, and of
body, foot, face and hand, the mean of both. Trained from ImageNet weights, 32 people on each of 8 GPUs, Adam 5e-4.
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json belong to COCO's annotations. The annotations are for
research and non-commercial use only. The published weights were trained on COCO first, and then on this.

    python tools/train.py configs/pose/hrnet_w48_coco_wholebody_384x288_dark.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_wholebody_384x288_dark.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 66.1,
        "AP_body": 74.2,
        "AP_foot": 70.7,
        "AP_face": 84.1,
        "AP_hand": 60.2,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w48_coco_wholebody_384x288_dark-f5726563_20200918.pth",
    },
}

_base_ = "hrnet_w48_coco_wholebody_384x288.py"

model = dict(head=dict(codec=dict(type="DarkHeatmap")))
