"""HRNetV2-W18 on landmarks of your own, as many as there are; 256x256.

The data is an export of a labelling tool, or a file in COCO's keypoint format; names and mirror partners come from it,
and the recipe from how much there is. Errors are divided by the side of the box around the landmarks; `nme_reference`
may name two landmarks instead. Published: none, it depends on the images; the codec is that of the DARK configs.

    hrtoolkit train face/hrnetv2_w18_custom --data EXPORT
    hrtoolkit predict work_dirs/face/hrnetv2_w18_custom/best.pth PICTURES --boxes whole --out found
"""

_base_ = "../_base_/custom_schedule.py"

custom_imports = dict(imports=["hrtoolkit.tasks.face"])
_dataset = dict(type="CocoFaces", data_root="data/own", image_dir="", scheme=dict(nme_reference="box"))
model = dict(
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear", bn_momentum=0.01),
    head=dict(
        type="FaceHead",
        scheme=None,  # the training data has it
        codec=dict(type="DarkHeatmap", sigma=2.0),
        integer_points=False,
    ),
    view=dict(type="TopDown", input_size=(256, 256)),
)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(**_dataset, ann_file="train.json"),
    augmentation=dict(type="FaceAugmentation", scale=0.25, rotation=60.0, flip=0.5),
)
val_dataloader = dict(batch_size=16, num_workers=2, dataset=dict(**_dataset, ann_file="val.json"))
val_evaluator = dict(type="NME")
load_from = "timm/hrnet_w18.ms_in1k"  # downloaded by timm; or a file, such as a model of faces
