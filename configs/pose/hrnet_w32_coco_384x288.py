"""HRNet-W32 top-down pose on COCO, 384x288.

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4; trained from ImageNet weights, 32
people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w32_coco_384x288.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_384x288.py official --flip --boxes DETECTIONS.json
"""

published = {
    "official": {"AP": 75.8, "source": "arXiv:1902.09212, Table 1", "file": "pose_hrnet_w32_384x288.pth"},
    "openmmlab": {
        "AP": 76.1,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-384x288-ca5956af_20220909.pth",
    },
}

_base_ = "hrnet_w32_coco.py"

model = dict(head=dict(codec=dict(sigma=3.0)), view=dict(input_size=(288, 384)))
