"""HRNetV2-W18 face alignment on 300W from the csv files of the official code, 256x256.

As hrnetv2_w18_300w, which needs no csv. --set val_dataloader.dataset.ann_file=face_landmarks_300w_valid_common.csv is
the common part. The csv files of WFLW and AFLW are read alike: put this dataset into their configs.

    python tools/train.py configs/face/hrnetv2_w18_300w_csv.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/face/hrnetv2_w18_300w_csv.py official
"""

published = {
    "official": {"NME": 3.34, "common": 2.91, "challenge": 5.11, "test": 3.85, "file": "HR18-300W.pth"},
    "paper": {"NME": 3.32, "common": 2.87, "challenge": 5.15, "test": 3.85, "source": "arXiv:1908.07919"},
}

_base_ = "hrnetv2_w18_300w.py"

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="FaceCsv",
        data_root="data/300w",
        ann_file="face_landmarks_300w_train.csv",
        image_dir="images",
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="FaceCsv",
        data_root="data/300w",
        ann_file="face_landmarks_300w_valid.csv",
        image_dir="images",
    ),
)
