"""HRNet-W48 top-down pose on COCO, 256x192 with DARK (arXiv:1910.06278).

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4; trained from ImageNet weights, 32
people on each of 4 GPUs, Adam 1e-3. The number needs crops and flip shift as OpenMMLab has them, which is what this
config does.

    python tools/train.py configs/pose/hrnet_w48_coco_dark.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_dark.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 76.4,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_dark-8xb32-210e_coco-256x192-e1ebdd6f_20220913.pth",
    },
}

_base_ = "hrnet_w48_coco.py"

model = dict(head=dict(codec=dict(type="DarkHeatmap")))
