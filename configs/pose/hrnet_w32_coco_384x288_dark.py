"""HRNet-W32 top-down pose on COCO, 384x288 with DARK (arXiv:1910.06278).

Published: 76.6 AP (OpenMMLab; 76.6 in arXiv:1910.06278), val2017,
boxes of the detector with person AP 56.4, flip test, from ImageNet weights; 32 people on each of 4 GPUs, Adam 1e-3.
The number needs crops and flip shift as OpenMMLab has them, which is what this config does.

    python tools/train.py configs/pose/hrnet_w32_coco_384x288_dark.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_coco_384x288_dark.py CHECKPOINT --flip --boxes DETECTIONS.json
"""

_base_ = "hrnet_w32_coco_384x288.py"

model = dict(head=dict(codec=dict(type="DarkHeatmap")))
