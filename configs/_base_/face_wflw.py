"""WFLW in the official manner: its crops and augmentation, validation on the test faces with their six subsets."""

model = dict(view=dict(type="OfficialFaceCrop", input_size=(256, 256)))
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="WFLW",
        data_root="data/wflw",
        ann_file="WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_train.txt",
        image_dir="WFLW_images",
    ),
    augmentation=dict(type="FaceAugmentation", scale=0.25, rotation=30.0, flip=0.5),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type="WFLW",
        data_root="data/wflw",
        ann_file="WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt",
        image_dir="WFLW_images",
    ),
)
val_evaluator = dict(type="NME")
