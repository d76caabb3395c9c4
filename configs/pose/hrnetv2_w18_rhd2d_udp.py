"""HRNetV2-W18 on the hands of RHD with UDP (arXiv:1911.07524), 256x256.

PCK at 0.2 of the box's longer side, AUC up to 30 pixels of the image, and EPE in pixels, with the flip test; trained
from ImageNet weights, 64 hands on each of 8 GPUs, Adam 5e-4. Rendered hands; files are OpenMMLab's rhd_train.json and
rhd_test.json, whose fingers run from tip to base, though their category names them the other way. No terms of the
annotations are stated: treat them as research only.

    python tools/train.py configs/pose/hrnetv2_w18_rhd2d_udp.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/pose/hrnetv2_w18_rhd2d_udp.py openmmlab --flip
"""

published = {
    "openmmlab": {
        "PCK": 99.2,
        "AUC": 90.2,
        "EPE": 2.19,
        "file": "https://download.openmmlab.com/mmpose/hand/udp/hrnetv2_w18_rhd2d_256x256_udp-63ba6007_20210330.pth",
    },
}

_base_ = "hrnetv2_w18_rhd2d.py"

model = dict(head=dict(codec=dict(type="UDPHeatmap")))
