"""HRNet-W32 top-down pose on COCO, 384x288 with UDP (arXiv:1911.07524).

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4; trained from ImageNet weights, 32
people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w32_coco_384x288_udp.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_384x288_udp.py openmmlab --flip --boxes DETECTIONS.json
"""

published = {
    "openmmlab": {
        "AP": 76.8,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_udp-8xb64-210e_coco-384x288-9a3f7c85_20220914.pth",
    },
}

_base_ = "hrnet_w32_coco_384x288.py"

model = dict(head=dict(codec=dict(type="UDPHeatmap")))
