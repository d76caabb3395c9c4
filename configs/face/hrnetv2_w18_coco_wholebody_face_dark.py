"""HRNetV2-W18 face alignment on the faces of COCO-WholeBody with DARK (arXiv:1910.06278), 256x256.

NME in % is divided by the distance of the outer eye corners, with flip test; trained from ImageNet weights, 32 faces on
each of 8 GPUs, Adam 2e-3. Every face of COCO-WholeBody is a sample, in its own box. Files are
coco_wholebody_train_v1.0.json and coco_wholebody_val_v1.0.json. The annotations are for research and non-commercial use
only.

    python tools/train.py configs/face/hrnetv2_w18_coco_wholebody_face_dark.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_coco_wholebody_face_dark.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "NME": 5.13,
        "file": "https://download.openmmlab.com/mmpose/face/darkpose/hrnetv2_w18_coco_wholebody_face_256x256_dark-3d9a334e_20210909.pth",
    },
}

_base_ = "hrnetv2_w18_coco_wholebody_face.py"

model = dict(head=dict(codec=dict(type="DarkHeatmap")))
