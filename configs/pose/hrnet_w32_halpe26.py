"""HRNet-W32 top-down pose on the first 26 keypoints of Halpe, body and feet, 256x192.

Scored on COCO's val2017 (halpe_val_v1.json) with annotated boxes and the flip test; trained on images of HICO-DET
(halpe_train_v1.json). The files count 3 `num_keypoints` for everybody, so labels are counted anew. No terms of the
annotations are stated: treat them as research only. Published: none for HRNet.

    python tools/train.py configs/pose/hrnet_w32_halpe26.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_halpe26.py CHECKPOINT --flip
"""

_base_ = "hrnet_w32_halpe136.py"

_dataset = dict(parts=[dict(keypoints="keypoints", first=26)])
model = dict(head=dict(scheme="halpe26"))
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
val_evaluator = dict(_delete_=True, type="CocoKeypointMetric")
