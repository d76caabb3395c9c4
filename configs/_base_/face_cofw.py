"""COFW in the official manner: its crops and augmentation, numbers of the file as they are."""

model = dict(view=dict(type="OfficialFaceCrop", input_size=(256, 256)))
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="COFW",
        data_root="data/cofw",
        ann_file="COFW_train_color.mat",
        first_pixel=0,
    ),
    augmentation=dict(type="FaceAugmentation", scale=0.25, rotation=30.0, flip=0.5),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="COFW",
        data_root="data/cofw",
        ann_file="COFW_test_color.mat",
        first_pixel=0,
    ),
)
val_evaluator = dict(type="NME")
