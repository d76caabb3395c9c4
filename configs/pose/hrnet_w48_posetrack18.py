"""HRNet-W48 top-down pose on PoseTrack18, 256x192.

Frames by themselves, without tracks, scored on val by OKS with areas of the boxes. Published is Total AP of PoseTrack's
own code, poseval, which is another number, by annotated boxes. Trained from COCO's weights, 64 people on each of 8
GPUs, Adam 5e-4, 20 epochs; boxes of a detector count from 0.4. Files are OpenMMLab's posetrack18_train.json and
posetrack18_val.json. The data set's terms are on its own page.

    python tools/train.py configs/pose/hrnet_w48_posetrack18.py --set load_from=pose/hrnet_w48_coco@openmmlab
    python tools/test.py configs/pose/hrnet_w48_posetrack18.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "poseval_AP": 84.6,
        "note": "by poseval; 77.4 with boxes of a detector",
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w48_posetrack18_256x192-b5d9b3f1_20211130.pth",
    },
}

_base_ = "hrnet_w32_posetrack18.py"

model = dict(backbone=dict(width=48))
