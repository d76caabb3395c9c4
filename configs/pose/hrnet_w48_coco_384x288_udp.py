"""HRNet-W48 top-down pose on COCO, 384x288 with UDP (arXiv:1911.07524).

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4; trained from ImageNet weights, 24
people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w48_coco_384x288_udp.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_384x288_udp.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 77.3,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_udp-8xb32-210e_coco-384x288-70d7ab01_20220913.pth",
    },
}

_base_ = "hrnet_w48_coco_384x288.py"

model = dict(head=dict(codec=dict(type="UDPHeatmap")))
