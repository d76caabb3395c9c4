"""AFLW in the official manner: its crops and augmentation, errors divided by the side of the face's box."""

model = dict(view=dict(type="OfficialFaceCrop", input_size=(256, 256)))
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="AFLW",
        data_root="data/aflw",
        split="train",
    ),
    augmentation=dict(type="FaceAugmentation", scale=0.25, rotation=30.0, flip=0.5),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="AFLW",
        data_root="data/aflw",
        split="test",
    ),
)
val_evaluator = dict(type="NME")
