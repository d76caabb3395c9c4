"""HRNet-W32 top-down pose on PoseTrack18, 384x288.

Frames by themselves, without tracks, scored on val by OKS with areas of the boxes. Published is Total AP of PoseTrack's
own code, poseval, which is another number, by annotated boxes. Trained from COCO's weights, 64 people on each of 8
GPUs, Adam 5e-4, 20 epochs; boxes of a detector count from 0.4. Files are OpenMMLab's posetrack18_train.json and
posetrack18_val.json. The data set's terms are on its own page.

    python tools/train.py configs/pose/hrnet_w32_posetrack18_384x288.py \\
        --set load_from=pose/hrnet_w32_coco_384x288@openmmlab
    python tools/test.py configs/pose/hrnet_w32_posetrack18_384x288.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "poseval_AP": 83.7,
        "note": "by poseval; 77.3 with boxes of a detector",
        "file": "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_posetrack18_384x288-806f00a3_20211130.pth",
    },
}

_base_ = "hrnet_w32_posetrack18.py"

model = dict(head=dict(codec=dict(sigma=3.0)), view=dict(input_size=(288, 384)))
