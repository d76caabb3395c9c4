"""HRNet-W32 top-down pose on COCO-WholeBody, 256x192 with DARK (arXiv:1910.06278).

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4: AP of all 133 keypoints, and of
body, foot, face and hand, the mean of both. Trained from ImageNet weights, 64 people on each of 8 GPUs, Adam 5e-4.
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json belong to COCO's annotations. The annotations are for
research and non-commercial use only.

    python tools/train.py configs/pose/hrnet_w32_coco_wholebody_dark.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_wholebody_dark.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 58.2,
        "AP_body": 69.3,
        "AP_foot": 56.4,
        "AP_face": 73.7,
        "AP_hand": 50.3,
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_coco_wholebody_256x192_dark-469327ef_20200922.pth",
    },
}

_base_ = "hrnet_w32_coco_wholebody.py"

model = dict(head=dict(codec=dict(type="DarkHeatmap")))
