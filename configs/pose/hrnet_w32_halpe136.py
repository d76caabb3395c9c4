"""HRNet-W32 top-down pose on all 136 keypoints of Halpe, 256x192.

Scored on COCO's val2017 (halpe_val_v1.json) with annotated boxes and the flip test: AP of all keypoints, and of body,
foot, face and both hands; trained on images of HICO-DET (halpe_train_v1.json). The files count 3 `num_keypoints` for
everybody, so labels are counted anew. No terms of the annotations are stated: treat them as research only.
Published: none for HRNet.

    python tools/train.py configs/pose/hrnet_w32_halpe136.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/hrnet_w32_halpe136.py CHECKPOINT --flip
"""

_base_ = "../_base_/keypoint_sets.py"

_dataset = dict(data_root="data/halpe", parts=[dict(keypoints="keypoints")])
model = dict(head=dict(scheme="halpe136"))
train_dataloader = dict(
    dataset=dict(
        **_dataset, ann_file="annotations/halpe_train_v1.json", image_dir="hico_20160224_det/images/train2015"
    ),
)
val_dataloader = dict(dataset=dict(**_dataset, ann_file="annotations/halpe_val_v1.json", image_dir="val2017"))
val_evaluator = dict(type="WholeBodyMetric", parts=dict(body=20, foot=6, face=68, hand=42))
