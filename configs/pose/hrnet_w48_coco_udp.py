"""HRNet-W48 top-down pose on COCO, 256x192 with UDP (arXiv:1911.07524).

Published: 76.8 AP (OpenMMLab), val2017,
boxes of the detector with person AP 56.4, flip test, from ImageNet weights; 32 people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w48_coco_udp.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_udp.py CHECKPOINT --flip --boxes DETECTIONS.json
"""

_base_ = "hrnet_w48_coco.py"

model = dict(head=dict(codec=dict(type="UDPHeatmap")))
