"""HRNet-W32 top-down pose on COCO and AI Challenger, with the keypoints that both have: 12 channels, 256x192.

Shoulders, elbows, wrists, hips, knees and ankles. Each set is scored by these keypoints alone, and people who have none
of them labelled do not count: the numbers are not those of hrnet_w32_coco_aic.py, nor comparable with published ones.
Files and terms are those of ../pose/hrnet_w32_coco.py and ../pose/hrnet_w32_aic.py. Published: no.

    python tools/train.py configs/multitask/hrnet_w32_coco_aic_shared.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/multitask/hrnet_w32_coco_aic_shared.py CHECKPOINT --flip
"""

_base_ = "hrnet_w32_coco_aic.py"

model = dict(
    branches=dict(pose=dict(head=dict(scheme=dict(_delete_=True, intersection=["coco", "aic"])))),
)
