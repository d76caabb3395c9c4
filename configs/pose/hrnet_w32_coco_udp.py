"""HRNet-W32 top-down pose on COCO, 256x192 with UDP (arXiv:1911.07524).

Published: 76.2 AP (OpenMMLab), val2017,
boxes of the detector with person AP 56.4, flip test, from ImageNet weights; 32 people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w32_coco_udp.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_udp.py CHECKPOINT --flip --boxes DETECTIONS.json
"""

_base_ = "hrnet_w32_coco.py"

model = dict(head=dict(codec=dict(type="UDPHeatmap")))
