"""HigherHRNet-W48 bottom-up pose on COCO, short side 640 (arXiv:1908.10357).

Scored on all of val2017 with the flip test; trained from ImageNet weights, 10 images on each of 4 GPUs, Adam 1e-3, in
half precision. The authors' weights are in the folder that their README links, whatever they are called there.

    python tools/train.py configs/pose/higher_hrnet_w48_coco_640.py --amp --set load_from=timm/hrnet_w48.ms_in1k
    python tools/test.py configs/pose/higher_hrnet_w48_coco_640.py WEIGHTS.pth --flip
"""

published = {
    "official": {"AP": 69.9, "source": "HigherHRNet-Human-Pose-Estimation, README"},
}

_base_ = "higher_hrnet_w32_coco_640.py"

model = dict(backbone=dict(width=48))
train_dataloader = dict(batch_size=10)
base_batch_size = 40
