"""HRNet-W48 top-down pose on COCO, 384x288.

Published: 76.3 AP (arXiv:1902.09212, Table 1), val2017,
boxes of the detector with person AP 56.4, flip test, from ImageNet weights; 24 people on each of 4 GPUs, Adam 1e-3.

    python tools/train.py configs/pose/hrnet_w48_coco_384x288.py --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/hrnet_w48_coco_384x288.py CHECKPOINT --flip --boxes DETECTIONS.json
"""

_base_ = "hrnet_w48_coco.py"

model = dict(head=dict(codec=dict(sigma=3.0)), view=dict(input_size=(288, 384)))
train_dataloader = dict(batch_size=24)
