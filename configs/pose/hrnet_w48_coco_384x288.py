"""HRNet-W48 top-down pose on COCO, 384x288.

Scored on val2017 with the flip test and boxes of the detector with person AP 56.4; trained from ImageNet weights, 24
people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w48_coco_384x288.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_384x288.py official --flip --boxes DETECTIONS.json
"""

published = {
    "official": {"AP": 76.3, "source": "arXiv:1902.09212, Table 1", "file": "pose_hrnet_w48_384x288.pth"},
    "openmmlab": {
        "AP": 76.7,
        "file": "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-384x288-c161b7de_20220915.pth",
    },
}

_base_ = "hrnet_w48_coco.py"

model = dict(head=dict(codec=dict(sigma=3.0)), view=dict(input_size=(288, 384)))
train_dataloader = dict(batch_size=24)
