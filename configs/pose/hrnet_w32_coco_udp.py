"""HRNet-W32 top-down pose on COCO, 256x192 with UDP (arXiv:1911.07524).

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4; trained from ImageNet weights, 32
people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w32_coco_udp.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_udp.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 76.2,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192-73ede547_20220914.pth",
    },
}

_base_ = "hrnet_w32_coco.py"

model = dict(head=dict(codec=dict(type="UDPHeatmap")))
