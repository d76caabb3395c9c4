"""AFLW in the official manner: its crops and augmentation, errors divided by the side of the face's box."""

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="AFLW",
        data_root="data/aflw",
        split="train",
        transform=dict(type="OfficialFaceCrop", input_size=(256, 256), scale=0.25, rotation=30.0, flip=0.5),
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="AFLW",
        data_root="data/aflw",
        split="test",
        transform=dict(type="OfficialFaceCrop", input_size=(256, 256)),
    ),
)
val_evaluator = dict(type="NME")
